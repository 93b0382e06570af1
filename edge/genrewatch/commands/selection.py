"""Options that select a part of a history: `--since`, `--until` and `--source`.

A time is `2026-11-24 18:00`, RFC 3339, or a time ago such as `3d`.
"""

import argparse

from genrewatch.contract.errors import ConfigError
from genrewatch.history.reader import Selection
from genrewatch.history.time_text import parse_time
from genrewatch.host.times import local_text, now


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add `--since`, `--until` and `--source`, which select a part of a history."""
    parser.add_argument(
        "--since", metavar="TIME", help="2026-11-24, '2026-11-24 18:00', RFC 3339, or 30min, 2h, 3d ago"
    )
    parser.add_argument("--until", metavar="TIME", help="likewise; a date is its midnight")
    parser.add_argument("--source", action="append", metavar="ID", help="one source; repeat for several")


def selected(parsed: argparse.Namespace) -> Selection:
    """Return the range and sources of the command line; ConfigError if the range ends before it starts."""
    now_ms = now().utc_ms
    since_ms = None if parsed.since is None else parse_time(parsed.since, "--since", now_ms)
    until_ms = None if parsed.until is None else parse_time(parsed.until, "--until", now_ms)
    if since_ms is not None and until_ms is not None and until_ms <= since_ms:
        raise ConfigError("--until", f"found {local_text(until_ms)}", f"a time after {local_text(since_ms)}")
    return Selection(since_ms=since_ms, until_ms=until_ms, sources=tuple(parsed.source or ()))
