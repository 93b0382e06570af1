"""The API as programs use it: every answer has the shape that the OpenAPI description promises."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.history.rig import spell
from tests.sinks.mqtt_rig import JAZZ, ROCK, SILENCE
from tests.sinks.test_schemas import schema
from tests.web.rig import NODE, Served, later, request, served, until

from genrewatch.cli import main
from genrewatch.history.database import database_path
from genrewatch.history.store import HistoryStore
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.web import event_streams
from genrewatch.sinks.web.server import MAX_VIEWERS
from genrewatch.sources.source import NowPlaying


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with six spells of two sources."""
    directory = tmp_path_factory.mktemp("state")
    store = HistoryStore(database_path(directory, NODE), NODE, deliver=False)
    genres = ("rock", "jazz", None, "rock")
    spells = [spell(genre, start_s=10.0 * n) for n, genre in enumerate(genres)]
    store.append([*spells, *(spell("jazz", source="radio", start_s=10.0 * n) for n in range(2))], [])
    store.close()
    return directory


@pytest.fixture(scope="module")
def node(state: Path) -> Iterator[Served]:
    with served(history=database_path(state, NODE)) as running:
        yield running


def described(node: Served, path: str, status: int, body: Any) -> None:
    """Check a JSON answer against the description."""
    description = node.get("api/v1/openapi.json").json
    operations = description["paths"]["/" + path.partition("?")[0]]
    operation = operations["post" if status == 202 or "get" not in operations else "get"]
    wanted = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    jsonschema.validate(body, {**wanted, "components": description["components"]}, jsonschema.Draft202012Validator)


READS = [
    "state",
    "health",
    "sources",
    "spells",
    "spells?source=mic&verdict=rock&limit=1",
    "spells?since=2026-11-24T12:00:05Z&until=2026-11-24T12:00:15Z",
    "report",
    "report?by=source",
    "report?by=hour&source=radio",
    "corrections",
    "bundles",
    "doctor",
]


@pytest.mark.parametrize("path", READS)
def test_an_answer_is_what_the_description_promises(node: Served, path: str) -> None:
    answer = node.get(f"api/v1/{path}")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    described(node, path, 200, answer.json)


@pytest.mark.parametrize(
    "path",
    [
        "spells?since=yesterdayish",
        "spells?limit=0",
        "spells?limit=1001",
        "spells?limit=%C2%B2",
        "spells?after=-1",
        "spells?open=perhaps",
        "state?" + "&a=1" * 30,
        "spells?source=a/b",
        "spells?since=2026-11-25&until=2026-11-24",
        "report?by=year",
    ],
)
def test_a_wrong_query_is_an_answer_of_one_line(node: Served, path: str) -> None:
    answer = node.get(f"api/v1/{path}")
    assert answer.status == 400
    described(node, path, 400, answer.json)


def test_states_votes_and_health_are_the_payloads_of_mqtt(node: Served) -> None:
    for state in node.get("api/v1/state").json["states"]:
        jsonschema.validate(state, schema("state"))
    jsonschema.validate(node.get("api/v1/health").json, schema("health"))
    for source in node.get("api/v1/sources").json["sources"]:
        jsonschema.validate(source["votes"], schema("votes"))


def test_spells_come_in_pages_and_are_filtered(node: Served) -> None:
    first = node.get("api/v1/spells?source=mic&limit=3").json
    rest = node.get(f"api/v1/spells?source=mic&limit=3&after={first['next']}").json
    assert [found["genre"] for found in first["spells"] + rest["spells"]] == ["rock", "jazz", None, "rock"]
    assert rest["next"] is None
    refused = node.get("api/v1/spells?verdict=refused").json["spells"]
    assert [found["reason"] for found in refused] == ["refused"]


def test_the_numbers_are_those_of_the_command(node: Served, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for by in ("hour", "day", "week", "month", "source"):
        assert main(["report", "--state", str(state), "--by", by, "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        answer = node.get(f"api/v1/report?by={by}").json
        assert {key: answer[key] for key in printed} == printed
    main(["report", "--state", str(state), "--csv"])
    assert node.get("api/v1/report.csv").body.decode() == capsys.readouterr().out
    main(["history", "--state", str(state), "--csv"])
    assert node.get("api/v1/spells.csv").body.decode() == capsys.readouterr().out


def test_without_a_history_and_with_a_broken_one_it_is_said_so(tmp_path: Path) -> None:
    with served() as node:
        assert node.get("api/v1/spells").status == 404
    (tmp_path / "history-box.db").write_bytes(b"no database")
    with served(history=tmp_path / "history-box.db") as node:
        assert node.get("api/v1/report").status == 503
        assert node.get("api/v1/spells.csv").status == 503
        assert node.get("api/v1/state").status == 200


def test_a_correction_is_kept_beside_the_history(tmp_path: Path) -> None:
    store = HistoryStore(database_path(tmp_path, NODE), NODE, deliver=False)
    store.append([spell("rock", start_s=0.0), spell(None, start_s=10.0)], [])
    store.close()
    with served(history=database_path(tmp_path, NODE)) as node:
        answers = [
            node.post("api/v1/correct", {"source": "mic", "seq": 2, "label": "jazz"}),
            node.post("api/v1/correct", {"source": "radio", "label": "our jingle"}),
            node.post("api/v1/correct", {"source": "mic", "seq": 1, "label": "pop"}),
            node.post("api/v1/correct", {"source": "mic", "seq": 1, "label": None}),
        ]
        assert [answer.status for answer in answers] == [202] * 4
        found = node.get("api/v1/corrections").json["corrections"]
    assert [(made["source"], made["seq"], made["genre"], made["reason"], made["label"]) for made in found] == [
        ("mic", 2, None, "refused", "jazz"),
        ("radio", None, "jazz", "majority", "our jingle"),
    ]


def test_a_correction_needs_a_history_and_a_verdict(state: Path) -> None:
    with served() as node:
        assert node.post("api/v1/correct", {"source": "mic", "label": "jazz"}).status == 404
    with served(history=database_path(state, NODE)) as node:
        node.sink._live["mic"].state = None
        assert node.post("api/v1/correct", {"source": "mic", "label": "jazz"}).status == 409


def test_the_bundles_that_may_be_chosen_are_listed(tmp_path: Path) -> None:
    for name in ("b", "a", "no id!"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bundle.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    with served(mqtt=MqttConfig(heartbeat_s=1, bundles=str(tmp_path))) as node:
        assert node.get("api/v1/bundles").json["bundles"] == ["a", "b"]
    with served(mqtt=MqttConfig(heartbeat_s=1, bundles=str(tmp_path / "absent"))) as node:
        assert node.get("api/v1/bundles").json["bundles"] == []


@contextmanager
def events(node: Served, count: int) -> Iterator[list[tuple[str, Any]]]:
    """Open a stream and yield the list that its events arrive in."""
    host, port = node.url.removeprefix("http://").rstrip("/").split(":")
    found: list[tuple[str, Any]] = []
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"GET /api/v1/events HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        file = connection.makefile("rb")
        while not file.readline().startswith(b"retry:"):
            pass
        yield found
        connection.settimeout(10)
        while len(found) < count:
            line = file.readline()
            if line.startswith(b"event: "):
                found.append((line[7:-1].decode(), json.loads(file.readline()[6:])))


def test_changes_are_pushed_with_the_payloads_of_mqtt() -> None:
    with served() as node:
        with events(node, 7) as found:
            node.play("mic", later(JAZZ, 1))
            node.sink.on_now_playing("radio", NowPlaying(station="FM", title="A – B"))
            node.sink.on_stalled("radio")
            node.sink.on_availability("radio", False, "closed")
            node.sink.on_test_event("mic")
        names = [name for name, _ in found]
        assert names[:3] == ["votes", "state", "event"]
        assert {"availability"} < set(names)
        for name, payload in found:
            if name in ("state", "votes", "event"):
                jsonschema.validate(payload, schema(name))


def test_a_test_event_and_commands_reach_the_daemon() -> None:
    with served(mqtt=MqttConfig(heartbeat_s=1, bundles="/opt/bundles")) as node:
        answers = [
            node.post("api/v1/listen", {"source": "mic", "on": False}),
            node.post("api/v1/bundle", {"name": "other"}),
            node.post("api/v1/test-event", {"source": "radio"}),
        ]
        assert [answer.status for answer in answers] == [202, 202, 202]
        assert node.control.called == [("listen", "mic", False), ("bundle", "other"), ("test", "radio")]
        for path, answer in zip(("listen", "bundle", "test-event"), answers, strict=True):
            described(node, path, 202, answer.json)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("listen", {"source": "mic", "on": "no"}, 400),
        ("listen", {"source": "other", "on": True}, 404),
        ("listen", {"source": ["mic"], "on": True}, 404),
        ("listen", b"[" * 4000, 400),
        ("listen", b"[]", 400),
        ("bundle", {"name": "other"}, 403),
        ("correct", {"source": "other", "label": "jazz"}, 404),
        ("correct", {"source": "mic", "label": ""}, 400),
        ("correct", {"source": "mic", "label": "a\nb"}, 400),
        ("correct", {"source": "mic", "label": "x" * 65}, 400),
        ("correct", {"source": "mic", "seq": 99, "label": "jazz"}, 404),
        ("correct", {"source": "radio", "seq": 1, "label": "jazz"}, 404),
        ("correct", {"source": "mic", "seq": True, "label": "jazz"}, 400),
        ("correct", {"source": "mic", "seq": 2**64, "label": "jazz"}, 404),
        ("unknown", {}, 404),
    ],
)
def test_a_wrong_command_changes_nothing(node: Served, path: str, body: Any, status: int) -> None:
    assert node.post(f"api/v1/{path}", body).status == status
    assert node.control.called == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "[::1"}, 421),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "192.168.1.7:8710"}, 200),
        ({"Host": "music.example.org"}, 200),
    ],
)
def test_only_known_hosts_are_answered(headers: dict[str, str], status: int) -> None:
    with served(hosts=("music.example.org",)) as node:
        assert node.get("api/v1/state", **headers).status == status


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"X-Genrewatch": None},
    ],
)
def test_a_foreign_page_cannot_write(node: Served, headers: dict[str, Any]) -> None:
    sent = {key: value for key, value in {"X-Genrewatch": "1", **headers}.items() if value is not None}
    body = json.dumps({"source": "mic", "on": False}).encode()
    assert request(node.url + "api/v1/listen", data=body, headers=sent).status == 403
    assert node.control.called == []


def test_the_page_itself_may_write_also_behind_a_proxy() -> None:
    with served(hosts=("music.example.org",)) as node:
        body = {"source": "mic", "on": False}
        assert node.post("api/v1/listen", body, Origin=node.url.rstrip("/")).status == 202
        assert node.post("api/v1/listen", body, Origin="https://music.example.org").status == 202


def test_a_password_is_asked_for_everything() -> None:
    with served(password="söcret") as node:
        for path in ("", "api/v1/state", "metrics", "api/v1/events"):
            answer = node.get(path)
            assert (answer.status, "Basic" in answer.headers["WWW-Authenticate"]) == (401, True)
        assert node.get("", Authorization="Basic eDp3cm9uZw==").status == 401
        assert node.get("", Authorization="Basic !").status == 401
        assert node.get("", Authorization="Basic eDpzw7ZjcmV0").status == 200


def test_every_answer_has_the_headers_that_protect_a_browser(node: Served) -> None:
    for path in ("", "style.css", "api/v1/state", "metrics", "nothing"):
        headers = node.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("path", ["../sink.py", "%2e%2e/sink.py", "texts/../../sink.py", "texts/", "__init__.py"])
def test_no_other_file_is_served(node: Served, path: str) -> None:
    assert node.get(path).status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(node: Served, method: str) -> None:
    assert request(node.url + "api/v1/listen", headers={"X-Genrewatch": "1"}, method=method).status == 405


def test_viewers_are_capped_below_the_threads_and_free_their_place() -> None:
    with served() as node:
        host, port = node.url.removeprefix("http://").rstrip("/").split(":")
        connections = [socket.create_connection((host, int(port))) for _ in range(MAX_VIEWERS)]
        for connection in connections:
            connection.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: len(node.sink._streams) == MAX_VIEWERS)
        assert node.get("api/v1/events").status == 503
        assert node.get("metrics").status == 200
        for connection in connections:
            connection.close()
        until(lambda: len(node.sink._streams) == 0)


def test_a_viewer_that_takes_nothing_is_dropped_and_stops_no_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_streams, "MAX_QUEUED_BYTES", 5000)
    with served() as node:
        host, port = node.url.removeprefix("http://").rstrip("/").split(":")
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            lazy.connect((host, int(port)))
            lazy.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until(lambda: len(node.sink._streams) == 1)
            viewer = next(iter(node.sink._streams._viewers))
            began = time.monotonic()
            for number in range(20_000):
                node.play("mic", later(ROCK, number))
                if viewer.dropped:
                    break
            assert viewer.dropped
            assert time.monotonic() - began < 20
            assert node.get("api/v1/state").status == 200


def test_closing_ends_viewers_and_threads_soon() -> None:
    before = threading.active_count()
    with served() as node, events(node, 0):
        began = time.monotonic()
        node.sink.close()
        assert time.monotonic() - began < 4
    until(lambda: threading.active_count() <= before)


def test_a_taken_port_is_one_line_and_no_page(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError), served(port=port):
            pass
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"no page at 127.0.0.1:{port} (")
    assert "listening goes on" in line


def test_a_server_that_dies_is_logged_and_a_problem_and_serves_again(caplog: pytest.LogCaptureFixture) -> None:
    with served() as node:
        server = node.sink._server
        assert node.sink.problems() == []
        broken = server._server
        broken.readable = lambda: 1 / 0
        with suppress(OSError):
            node.get("api/v1/state")
        until(lambda: bool(node.sink.problems()))
        until(lambda: server._server not in (None, broken))
        assert node.get("api/v1/state").status == 200
    assert [record.getMessage() for record in caplog.records if record.exc_info] == [
        "a defect in web; the same one is not logged again"
    ]


def test_silence_and_refusals_count_as_airtime_of_their_own() -> None:
    with served() as node:
        node.play("mic", later(ROCK, 1), later(SILENCE, 3))
        text = node.get("metrics").body.decode()
        assert 'genrewatch_airtime_seconds_total{source="mic",verdict="rock"} 8\n' in text
        assert 'genrewatch_airtime_seconds_total{source="mic",verdict="silence"} 2\n' in text
        assert 'genrewatch_verdict{source="mic",verdict="silence"} 1' in text
        assert 'genrewatch_level_dbfs{source="mic"}' not in text


def test_curl_reads_it(node: Served) -> None:
    printed = subprocess.run(["curl", "-s", node.url + "api/v1/state"], capture_output=True, check=True, timeout=10)
    assert json.loads(printed.stdout)["node"] == NODE
