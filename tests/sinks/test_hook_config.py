"""A `[[hook]]` table that cannot work is refused at the start, and no message repeats a secret."""

from typing import Any

import pytest
from tests.sinks.hook_rig import NAMES

from genrewatch.contract.decode import decode
from genrewatch.contract.errors import ConfigError
from genrewatch.sinks.hooks.sink import HookConfig, HookSink


def refused(table: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as wrong:
        decode(HookConfig, table, where="genrewatch.toml", path="hook[0]")
    return str(wrong.value)


def test_a_hook_that_cannot_work_is_refused_with_what_would() -> None:
    known = "genre_changed, dead_air, sound_returned, stalled, resumed, unexpected_genre, expected_genre, test"
    expected = f'genrewatch.toml: hook[0].on[0]: found "deadair", expected one of {known}'
    assert refused({"on": ["deadair"], "command": "x"}) == expected
    assert refused({"on": [], "command": "x"}).endswith(f"hook[0].on: found an empty list, expected some of {known}")
    assert refused({"command": "x"}).endswith("hook[0].on: missing key")
    assert "neither command nor url" in refused({"on": ["stalled"]})
    assert "found command and url" in refused({"on": ["stalled"], "command": "x", "url": "http://x"})
    assert "timeout_s: found 0.0, expected 0.1 to 300" in refused({"on": ["stalled"], "command": "x", "timeout_s": 0})
    assert "no command" in refused({"on": ["stalled"], "command": " "})
    assert "no closing quotation" in refused({"on": ["stalled"], "command": "say 'x"})


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd?s3cret",
        "s3cret",
        "http://:s3cret@/x",
        "http://me:s3cret@host:port/",
        "http://me:s3cret@host:0/",
        "https://me:s3cret@[host/",
        "http://host/s3cret path",
        "http://host/s3crét",
        f"http://{'x' * 70}/s3cret",
    ],
)
def test_a_url_that_cannot_work_is_refused_without_its_secrets(url: str) -> None:
    message = refused({"on": ["stalled"], "url": url})
    assert message.startswith("genrewatch.toml: hook[0].url: ")
    assert "s3cr" not in message.replace("scheme ''", "")


def test_secrets_are_not_in_what_is_printed_of_a_hook() -> None:
    for settings in ({"command": "notify --token s3cret"}, {"url": "http://me:s3cret@host/s3cret?t=s3cret"}):
        hook = HookConfig(on=("stalled",), **settings)
        assert "s3cret" not in repr(hook) + hook.target


def test_a_hook_for_a_source_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"hook\[0\].sources: found 'vynil', expected some of mic, radio"):
        HookSink([HookConfig(on=("stalled",), command="true", sources=("vynil",))], node="box", names=NAMES)
