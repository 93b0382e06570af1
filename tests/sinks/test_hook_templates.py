"""Bodies, headers and titles that a hook's templates make."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.sinks.hook_rig import WebServer, python, running_hooks, settled
from tests.sinks.mqtt_rig import ROCK
from tests.sinks.test_hook_config import refused

from genrewatch.sinks.hooks.config import HookConfig
from genrewatch.sinks.hooks.rendering import Rendering
from genrewatch.sources.source import NowPlaying

EVENT = {
    "node": "box",
    "source": "radio",
    "name": "Radio X",
    "ts": "2026-11-22T12:00:00.123Z",
    "event_type": "genre_changed",
    "genre": "hiphop",
    "previous_genre": None,
    "confidence": 0.6,
    "title": 'The "$genre" song\r\nX-Evil: 1',
}
PAYLOAD = json.dumps(EVENT).encode()


def rendering(**settings: Any) -> Rendering:
    return Rendering(HookConfig(on=("genre_changed",), **{"url": "http://127.0.0.1/", **settings}))


def test_without_templates_the_payload_is_the_body() -> None:
    plain = rendering()
    assert plain.body(PAYLOAD) == PAYLOAD
    assert plain.headers(PAYLOAD) == {"Content-Type": "application/json"}


def test_a_title_cannot_break_out_of_json_a_form_or_a_header() -> None:
    as_json = rendering(body='{"text": "$message", "title": "$title", "was": "$previous_genre"}')
    assert json.loads(as_json.body(PAYLOAD)) == {
        "text": "Radio X: Hip hop is playing",
        "title": EVENT["title"],
        "was": "",
    }
    form = rendering(body="t=$title&g=$genre", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert form.body(PAYLOAD) == b"t=The+%22%24genre%22+song%0D%0AX-Evil%3A+1&g=hiphop"
    header = rendering(headers={"X-Title": "${title}!"})
    assert header.headers(PAYLOAD)["X-Title"] == b'The "$genre" song X-Evil: 1!'


def test_text_is_plain_and_a_dollar_is_two() -> None:
    text = rendering(body="$$5: ${genre_text} $confidence")
    assert text.body(PAYLOAD) == b"$5: Hip hop 0.6"
    assert text.headers(PAYLOAD)["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"body": "$gerne"}, "hook[0].body: found $gerne, expected some of node, source, name"),
        ({"body": "5 $"}, "hook[0].body: found a $ that names no field, expected $name, ${name}, or $$ for a $"),
        ({"body": '{"c": $confidence}'}, "hook[0].body: not JSON"),
        ({"body": "{genre}"}, "hook[0].body: not JSON"),
        ({"headers": {"X-A": "$nope"}}, "hook[0].headers.X-A: found $nope"),
        ({"headers": {"Host": "x"}}, "hook[0].headers: found 'Host'"),
        ({"headers": {"X A": "x"}}, "hook[0].headers: found 'X A'"),
        ({"title": "${x"}, "hook[0].title: found a $ that names no field"),
        ({"hours": ["8-9"]}, "hook[0].hours: found '8-9', expected [DAYS ]HH:MM-HH:MM"),
        ({"min_duration_s": -1}, "hook[0].min_duration_s: found -1.0, expected 0 to 86400"),
        ({"cooldown_s": 1e9}, "hook[0].cooldown_s: found 1000000000.0, expected 0 to 86400"),
        ({"notify": ["ntfy://x"]}, "hook[0].command: found url and notify, expected one of command, url and notify"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(settings: dict[str, Any], says: str) -> None:
    message = refused({"on": ["stalled"], "url": "http://127.0.0.1/", **settings})
    assert says.replace("found ", "") in message.replace("found ", "")
    assert "\n" not in message


def test_headers_without_a_url_are_refused() -> None:
    assert "headers for a url only" in refused({"on": ["stalled"], "command": "x", "headers": {"X-A": "b"}})


def test_a_web_server_receives_body_and_headers_of_the_templates() -> None:
    with WebServer() as server:
        hook = HookConfig(
            on=("genre_changed",),
            url=f"http://{server.address}/x",
            body='{"text": "$name: $title"}',
            headers={"X-Tags": "$genre", "Title": "Rádio"},
        )
        with running_hooks(hook) as sink:
            sink.on_now_playing("mic", NowPlaying(title='"So What"'))
            sink.on_result("mic", ROCK)
            assert settled(sink, ran=1)["failed"] == 0
        ((_, headers, body),) = server.posted
    assert json.loads(body) == {"text": 'Record player: "So What"'}
    assert (headers["X-Tags"], headers["Content-Type"]) == ("rock", "application/json")
    assert headers["Title"].encode("latin-1").decode() == "Rádio"


def test_a_command_receives_the_rendered_body(tmp_path: Path) -> None:
    command = python(f"import sys; open({str(tmp_path / 'got')!r}, 'w').write(sys.stdin.read())")
    with running_hooks(HookConfig(on=("genre_changed",), command=command, body="$genre on $source")) as sink:
        sink.on_result("mic", replace(ROCK))
        settled(sink, ran=1)
    assert (tmp_path / "got").read_text() == "rock on mic"
