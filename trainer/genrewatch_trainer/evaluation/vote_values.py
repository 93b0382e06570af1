"""Votes as on a command line: `segments=9,filter=hmm` is one vote, `segments=5,7,9` are values of a grid."""

from collections.abc import Iterable, Mapping
from typing import Any

from genrewatch.contract.decode import decode
from genrewatch.contract.errors import ConfigError
from genrewatch.contract.vote import VoteConfig, VoteOverrides

Value = int | float | str
Values = dict[str, tuple[Value, ...]]
WORDS = ("filter",)
"""Keys whose values are words, not numbers."""


def parse_vote(text: str, where: str) -> VoteOverrides:
    """Decode `KEY=VALUE,KEY=VALUE` to the keys that it changes; raises ConfigError."""
    pairs = [word.partition("=") for word in text.split(",")]
    return decode(VoteOverrides, {key: _value(key, value, where) for key, _, value in pairs}, where=where)


def parse_values(words: Iterable[str], where: str) -> Values:
    """Decode `KEY=VALUE,VALUE` words to the values of each key; raises ConfigError."""
    values: Values = {}
    for word in words:
        key, _, listed = word.partition("=")
        values[key] = tuple(_value(key, value, where) for value in listed.split(","))
        for value in values[key]:
            decode(VoteOverrides, {key: value}, where=where)
    return values


def changed(vote: VoteConfig, values: Mapping[str, Value]) -> VoteConfig:
    """Return the vote with other values; raises ConfigError for an impossible one."""
    return decode(VoteOverrides, values, where="vote").apply(vote)


def _value(key: str, text: str, where: str) -> Any:
    if key in WORDS:
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise ConfigError(f"{where}: {key}", f"found {text!r}", "a number, as in segments=9,exit_segments=4")
