"""`genrewatch config`: every fault in one run, settings with their origin, an example that can be used."""

import json
import tomllib
from pathlib import Path

import pytest

from genrewatch.cli import main
from genrewatch.host.persistent_state import PersistentState
from genrewatch_drill.servers.ports import free_port

EXAMPLE = Path(__file__).parents[2] / "deploy" / "genrewatch.toml"


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("GENREWATCH_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "box.toml"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_check_finds_every_fault_of_a_file_a_line_each(tmp_path, capsys):
    path = written(
        tmp_path,
        """
node = "a/b"
[mqtt]
ulr = "mqtt://x"
keepalive_s = 2
heartbeat_s = "x"
username = 3
password = "geheim"
[[source]]
uri = "demo:"
stall_s = 0
[[source]]
uri = "nix:"
[[source]]
id = "x"
[source.vote]
segments = "many"
[[hook]]
on = ["dead"]
url = "ftp://x"
""",
    )
    assert main(["config", "check", path]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith(f"genrewatch: {path}: ") for line in lines)
    where = [line.removeprefix(f"genrewatch: {path}: ").partition(": ")[0] for line in lines]
    expected = "mqtt.ulr mqtt.username mqtt.heartbeat_s mqtt.keepalive_s node source[0].stall_s source[1]"
    assert where == [*expected.split(), "source[2].uri", "source[2].vote.segments", "hook[0].on[0]", "hook[0].url"]
    assert "did you mean url?" in lines[0]
    assert "geheim" not in str(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[vote]\nsegment_hop = 1000", "vote.segment_hop"),
        ("[[source]]\nuri = 'demo:'\n[source.vote]\nmin_share = 0.3", "source[0]: vote.min_share: found 0.3"),
        ("[[source]]\nuri = 'demo:'\nexpected_genres = ['jaz']", "source[0]: expected_genres: found 'jaz'"),
        ("[[source]]\nuri = 'demo:'\nid = 'a'\n[[source]]\nuri = 'mic:'\nid = 'a'", "id 'a' a second time"),
        ("[[hook]]\non = ['test']\ncommand = 'x'\nsources = ['vinyl']", "hook[0].sources: found 'vinyl'"),
        ("[web]\nhost = '0.0.0.0'", "web.host: 0.0.0.0 without a login"),
        ("[mqtt]\nurl = 'mqtts://x'\nca_file = '/nowhere.pem'", "mqtt.ca_file: /nowhere.pem cannot be used"),
        ("bundle = '/nowhere'", "/nowhere"),
        ("node = ", "is not TOML"),
    ],
)
def test_check_finds_what_is_wrong_between_tables_and_with_files(tmp_path, capsys, text, message):
    path = written(tmp_path, text)
    assert main(["config", "check", path]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_check_opens_nothing_and_accepts_the_example(tmp_path, capsys):
    assert main(["config", "check", str(EXAMPLE)]) == 0
    assert "no faults" in capsys.readouterr().out


def test_check_open_tries_sources_broker_and_hooks(tmp_path, capsys):
    text = f"""
[[source]]
uri = "demo:?pace=max"
[[source]]
uri = "cmd:false"
[mqtt]
url = "mqtt://127.0.0.1:{free_port()}"
[[hook]]
on = ["test"]
command = "true"
"""
    assert main(["config", "check", "--open", written(tmp_path, text)]) == 1
    results = [(line.split()[0], " ".join(line[8:].split()[:2])) for line in capsys.readouterr().out.splitlines()]
    assert results == [("ok", "source demo"), ("wrong", "source cmd"), ("wrong", "broker mqtt.url:"), ("ok", "hook 0")]


def test_show_names_the_origin_of_each_value_and_hides_secrets(state, tmp_path, capsys, monkeypatch):
    path = written(
        tmp_path,
        """
[vote]
segments = 9
[mqtt]
url = "mqtt://house"
username = "box"
settable = ["segments", "silence_dbfs"]
[[source]]
uri = "http://user:geheim@station/live"
id = "vinyl"
[[hook]]
on = ["test"]
url = "http://hook/geheim"
""",
    )
    state.mkdir()
    (state / "node_id").write_text("attic\n")
    kept = PersistentState(state / "memory-attic.json")
    kept.put("settings", {"vinyl": {"segments": 15, "silence_dbfs": -50.0, "filter": "none"}})
    monkeypatch.setenv("GENREWATCH_MQTT_PASSWORD", "geheim")
    assert main(["config", "show", "--json", "--config", path, "--web", "8711"]) == 0
    text = capsys.readouterr().out
    assert "geheim" not in text
    found = {line["key"]: (line["value"], line["from"]) for line in map(json.loads, text.splitlines())}
    assert found["node"] == ("attic", "persistent settings")
    assert found["vote.segments"] == (9, "file")
    assert found["vote.min_share"] == (0.5, "bundle")
    assert found["level.silence_dbfs"] == (-65.0, "default")
    assert found["web.port"] == (8711, "command line")
    assert found["mqtt.password"] == ("removed", "GENREWATCH_MQTT_PASSWORD")
    assert found["source[0].vote.segments"] == (15, "persistent settings")
    assert found["source[0].silence_dbfs"] == (-50.0, "persistent settings")
    assert found["source[0].vote.filter"] == (None, "default")
    assert found["source[0].uri"] == ("http://station", "file")


def test_show_is_a_toml_file_that_can_be_read_again(tmp_path, capsys):
    assert main(["config", "show", "--source", "demo:", "--source", "mic:"]) == 0
    shown = tomllib.loads(capsys.readouterr().out)
    assert [source["uri"] for source in shown["source"]] == ["demo:", "mic:"]
    assert shown["mqtt"]["heartbeat_s"] == 30


def test_example_is_the_file_of_deploy(capsys):
    assert main(["config", "example"]) == 0
    assert capsys.readouterr().out == EXAMPLE.read_text(encoding="utf-8")
