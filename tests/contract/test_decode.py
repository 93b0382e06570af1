"""Strict decoding: every wrong key and value is refused in one line that names the file and the full path."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from genrewatch.contract.decode import decode, encode, read_json, read_toml
from genrewatch.contract.errors import BundleError, ConfigError, require


@dataclass(frozen=True, kw_only=True)
class Broker:
    port: int = 1883
    host: str = "localhost"
    tls: bool = False
    retry_s: float = 2.0
    version: Literal["5", "3.1.1"] = "5"
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        require(0 < self.port < 65536, "port", self.port, "1 to 65535")


@dataclass(frozen=True, kw_only=True)
class Room:
    name: str
    gains: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Settings:
    node: str
    mqtt: Broker = field(default_factory=Broker)
    rooms: tuple[Room, ...] = ()
    limits: dict[str, int] = field(default_factory=dict)
    backup: Broker | None = None
    notes: dict[str, Any] = field(default_factory=dict)


def refusal(data: object) -> str:
    with pytest.raises(ConfigError) as error:
        decode(Settings, data, where="genrewatch.toml")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_full_document_becomes_nested_dataclasses() -> None:
    data = {
        "node": "attic",
        "mqtt": {"port": 8883, "tls": True, "retry_s": 3, "version": "3.1.1", "password": None},
        "rooms": [{"name": "bar", "gains": [1, 0.5]}, {"name": "hall"}],
        "limits": {"queue": 5},
        "backup": {"host": "b"},
        "notes": {"anything": [1, {"x": None}]},
    }
    settings = decode(Settings, data, where="genrewatch.toml")
    assert settings == Settings(
        node="attic",
        mqtt=Broker(port=8883, tls=True, retry_s=3.0, version="3.1.1"),
        rooms=(Room(name="bar", gains=(1.0, 0.5)), Room(name="hall")),
        limits={"queue": 5},
        backup=Broker(host="b"),
        notes={"anything": [1, {"x": None}]},
    )
    assert isinstance(settings.mqtt.retry_s, float)


def test_decode_undoes_encode_by_way_of_json() -> None:
    settings = Settings(node="n", rooms=(Room(name="a", gains=(0.1, 2.0)),), backup=Broker(), limits={"x": 1})
    assert decode(Settings, json.loads(json.dumps(encode(settings))), where="x") == settings


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"node": "a", "mqtt": {"prot": 1}}, "genrewatch.toml: mqtt.prot: unknown key, did you mean port?"),
        ({"nod": "a"}, "genrewatch.toml: nod: unknown key, did you mean node?"),
        (
            {"node": "a", "zzzz": 1},
            "genrewatch.toml: zzzz: unknown key, known keys: node mqtt rooms limits backup notes",
        ),
        (
            {"node": "a", "rooms": [{"name": "b"}, {"nam": "c"}]},
            "genrewatch.toml: rooms[1].nam: unknown key, did you mean name?",
        ),
        ({}, "genrewatch.toml: node: missing key"),
        ({"node": "a", "rooms": [{}]}, "genrewatch.toml: rooms[0].name: missing key"),
        ({"node": 5}, "genrewatch.toml: node: found 5, expected a string"),
        ({"node": None}, "genrewatch.toml: node: found null, expected a string"),
        ({"node": "a", "mqtt": {"port": "1883"}}, 'genrewatch.toml: mqtt.port: found "1883", expected an integer'),
        ({"node": "a", "mqtt": {"port": True}}, "genrewatch.toml: mqtt.port: found true, expected an integer"),
        ({"node": "a", "mqtt": {"port": 1.0}}, "genrewatch.toml: mqtt.port: found 1.0, expected an integer"),
        ({"node": "a", "mqtt": {"retry_s": True}}, "genrewatch.toml: mqtt.retry_s: found true, expected a number"),
        ({"node": "a", "mqtt": {"retry_s": "2"}}, 'genrewatch.toml: mqtt.retry_s: found "2", expected a number'),
        ({"node": "a", "mqtt": {"tls": 1}}, "genrewatch.toml: mqtt.tls: found 1, expected true or false"),
        ({"node": "a", "mqtt": {"version": "4"}}, 'genrewatch.toml: mqtt.version: found "4", expected one of 5, 3.1.1'),
        (
            {"node": "a", "backup": {"password": 7}},
            "genrewatch.toml: backup.password: found an integer, expected a string",
        ),
        ({"node": "a", "mqtt": []}, "genrewatch.toml: mqtt: found [], expected a table of keys"),
        ({"node": "a", "rooms": {}}, "genrewatch.toml: rooms: found {}, expected a list"),
        ({"node": "a", "rooms": "bar"}, 'genrewatch.toml: rooms: found "bar", expected a list'),
        ({"node": "a", "rooms": [{"name": "b", "gains": [1, "x"]}]}, None),
        ({"node": "a", "limits": {"queue": 1.5}}, "genrewatch.toml: limits.queue: found 1.5, expected an integer"),
        ({"node": "a", "limits": [1]}, "genrewatch.toml: limits: found [1], expected a table"),
        ([1], "genrewatch.toml: found [1], expected a table of keys"),
        (None, "genrewatch.toml: found null, expected a table of keys"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_full_path(data: object, message: str | None) -> None:
    expected = message or 'genrewatch.toml: rooms[0].gains[1]: found "x", expected a number'
    assert refusal(data) == expected


def test_an_error_of_a_dataclass_own_check_names_the_file_and_the_path() -> None:
    assert refusal({"node": "a", "mqtt": {"port": 0}}) == "genrewatch.toml: mqtt.port: found 0, expected 1 to 65535"
    assert refusal({"node": "a", "backup": {"port": 70000}}).startswith("genrewatch.toml: backup.port: found 70000")


def test_the_error_class_of_the_caller_is_raised() -> None:
    with pytest.raises(BundleError, match=r"^x: port: found 0"):
        decode(Broker, {"port": 0}, where="x", error=BundleError)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_a_number_that_is_not_finite_is_refused(value: float) -> None:
    assert refusal({"node": "a", "mqtt": {"retry_s": value}}).startswith("genrewatch.toml: mqtt.retry_s: found ")


def test_a_long_value_is_quoted_in_part() -> None:
    assert len(refusal({"node": ["x" * 10_000]})) < 120


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": -Infinity}', "-Infinity is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_read_json_refuses_text_that_is_not_json(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(BundleError, match=reason) as error:
        read_json(path, error=BundleError)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_number_too_large_for_json_is_refused_when_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"retry_s": 1e999}')
    with pytest.raises(ConfigError, match="retry_s: found Infinity, expected a finite number"):
        decode(Broker, read_json(path), where=str(path))


def test_read_toml_refuses_text_that_is_not_toml(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("port = 1\n[x]\ny = 2.5\n")
    assert read_toml(path) == {"port": 1, "x": {"y": 2.5}}
    path.write_text("port = = 1")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_toml(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: no such file or directory"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match=r"latin\.toml: is not UTF-8 text"):
        read_toml(tmp_path / "latin.toml")


@pytest.mark.parametrize("password", [123, 4.5, ["hunter2"], {"a": "hunter2"}])
def test_the_error_of_a_secret_key_does_not_quote_its_value(password):
    with pytest.raises(ConfigError, match=r"x\.toml: mqtt\.password: found .+, expected a string") as raised:
        decode(Settings, {"node": "a", "mqtt": {"password": password}}, where="x.toml")
    assert json.dumps(password) not in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_the_error_of_a_wrong_type_does_not_quote_a_url_which_may_hold_a_login():
    with pytest.raises(ConfigError, match="found a list, expected a string"):
        decode(Settings, {"node": ["rtsp://me:hunter2@host"]}, where="x.toml")
    with pytest.raises(ConfigError, match="found a string, expected a list"):
        decode(Settings, {"node": "a", "rooms": "rtsp://me:hunter2@host"}, where="x.toml")


@pytest.mark.parametrize(("read", "text"), [(read_toml, "port = 1\n"), (read_json, '{"port": 1}')])
def test_a_byte_order_mark_is_read_over(tmp_path, read, text):
    path = tmp_path / "settings"
    path.write_text(text, encoding="utf-8-sig")
    assert read(path) == {"port": 1}
