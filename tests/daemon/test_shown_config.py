"""What is shown of the configuration has no secrets of hooks."""

import json

from genrewatch.daemon.config import ListenConfig
from genrewatch.daemon.shown_config import shown_config
from genrewatch.sinks.hooks.config import HookConfig


def test_addresses_of_notifications_headers_and_bodies_are_left_out() -> None:
    hooks = (
        HookConfig(on=("stalled",), notify=("tgram://s3cret/12",), body="s3cret $name"),
        HookConfig(on=("stalled",), url="http://me:s3cret@host/s3cret", headers={"X-Any": "s3cret"}),
    )
    shown = shown_config(ListenConfig(hook=hooks))
    assert "s3cret" not in json.dumps(shown)
    assert shown["hook"][1]["headers"] == "removed"
