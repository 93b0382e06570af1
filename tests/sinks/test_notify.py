"""Notifications by Apprise, in a child process, against a real web server."""

import importlib.util
import json
from collections.abc import Iterator

import pytest
from tests.sinks.hook_rig import NAMES, WebServer, running_hooks, settled
from tests.sinks.mqtt_rig import ROCK

from genrewatch.contract.errors import ConfigError
from genrewatch.sinks.hooks.sink import HookConfig, HookSink

with_apprise = pytest.mark.skipif(importlib.util.find_spec("apprise") is None, reason="Apprise is not installed")


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


def hook(*urls: str, **settings: object) -> HookConfig:
    return HookConfig(on=("genre_changed",), notify=urls, **settings)  # type: ignore[arg-type]


@with_apprise
def test_a_notification_has_a_title_and_a_sentence(server: WebServer) -> None:
    with running_hooks(hook(f"json://{server.address}/secret", title="$name")) as sink:
        sink.on_result("mic", ROCK)
        assert settled(sink, ran=1)["failed"] == 0
    ((path, _, body),) = server.posted
    sent = json.loads(body)
    assert path.startswith("/secret")
    assert (sent["title"], sent["message"]) == ("Record player", "Record player: Rock is playing")


@with_apprise
def test_a_service_that_refuses_is_a_failure_that_names_no_secret(server: WebServer) -> None:
    server.status = 500
    with running_hooks(hook(f"json://{server.address}/secret")) as sink:
        sink.on_result("mic", ROCK)
        health = settled(sink, ran=1)
    assert health["failed"] == 1
    assert "could not deliver" in str(health["last_error"])
    assert "secret" not in str(health)


@with_apprise
def test_an_address_that_apprise_does_not_know_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match=r"^hook\[0\]\.notify: address 2 is not one that Apprise knows, expected"):
        HookSink([hook("json://127.0.0.1/", "nosuch://s3cret")], node="box", names=NAMES)


def test_without_apprise_one_line_gives_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"hook\[0\]\.notify: Apprise is not installed, expected pip install"):
        HookSink([hook("ntfy://x")], node="box", names=NAMES)


def test_the_addresses_of_a_notification_are_not_printed() -> None:
    config = hook("tgram://s3cret/12", "mailto://me:s3cret@example.org")
    assert config.target == "notify tgram, mailto"
    assert "s3cret" not in repr(config)
