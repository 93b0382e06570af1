"""The `[mqtt]` table is checked when it is read; an error is one line."""

import random
import re
from pathlib import Path

import pytest

from genrewatch.contract.decode import decode
from genrewatch.contract.errors import ConfigError
from genrewatch.sinks.mqtt.client import Outcome
from genrewatch.sinks.mqtt.config import MqttConfig, parse_url, tls_context
from genrewatch.sinks.mqtt.connection import Reconnect


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "path"),
    [
        ("mqtt://broker.local", "broker.local", 1883, False, None),
        ("mqtts://broker.local", "broker.local", 8883, True, None),
        ("mqtt://10.0.0.2:2000/", "10.0.0.2", 2000, False, None),
        ("mqtt://[::1]:2000", "::1", 2000, False, None),
        ("mqtt://kästchen.local", "kästchen.local", 1883, False, None),
        ("ws://broker.local", "broker.local", 80, False, "/mqtt"),
        ("wss://broker.local:9001/a/b", "broker.local", 9001, True, "/a/b"),
    ],
)
def test_a_url_gives_host_port_and_path(url: str, host: str, port: int, tls: bool, path: str | None) -> None:
    assert parse_url(url) == (host, port, tls, path)
    assert parse_url(str(parse_url(url))) == parse_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "localhost:1883",
        "http://h",
        "mqtt://",
        "mqtt://h:0",
        "mqtt://h:70000",
        "mqtt://h:x",
        "mqtt://h/topic",
        "mqtt://h?x",
        "ws://h/mqtt?x",
        "mqtt://a b",
        "mqtt://h\n",
        "mqtt://.ü.",
        "mqtt://[::1",
        "Auto",
    ],
)
def test_a_url_that_cannot_work_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(ConfigError, match=r"mqtt://HOST\[:PORT\]") as refused:
        MqttConfig(url=url)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["mqtt://me:geheim@broker", "mqtt://me:geh@eim@broker", "mqtts://geheim@broker:1", "geheim@x"]
)
def test_a_login_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="GENREWATCH_MQTT_PASSWORD") as refused:
        MqttConfig(url=url)
    assert "geh" not in str(refused.value)
    assert "eim" not in str(refused.value)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"prot": 1}, r"mqtt\.prot: unknown key, did you mean protocol"),
        ({"heartbeat_s": 60}, "at least 3 x heartbeat_s, 180"),
        ({"base": "a//b"}, r"mqtt\.base: found ''"),
        ({"base": "musik/küche"}, "küche"),
        ({"base": "a/#"}, "'#'"),
        ({"keepalive_s": 0}, "5 to 3600"),
        ({"protocol": "3"}, "one of auto, 5, 3.1.1"),
        ({"password": "geheim"}, "no username"),
        ({"url": "mqtt://h", "ca_file": "ca.pem"}, "an mqtts:// or wss:// url"),
        ({"url": "mqtts://h", "key_file": "k.pem"}, "no cert_file"),
        ({"votes": 1}, "true or false"),
        ({"votes_every": -1}, "0 to 1000"),
    ],
)
def test_a_wrong_key_or_value_names_itself(table: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        decode(MqttConfig, table, where="genrewatch.toml", path="mqtt")
    assert str(refused.value).startswith("genrewatch.toml: mqtt")
    assert "geheim" not in str(refused.value)


def test_the_environment_brings_the_login_and_goes_before_the_file() -> None:
    config = MqttConfig(username="file", password="old")
    login = {"GENREWATCH_MQTT_USERNAME": "me", "GENREWATCH_MQTT_PASSWORD": "geheim"}
    seen = config.with_environment(login)
    assert (seen.username, seen.password) == ("me", "geheim")
    assert config.with_environment({}) == config
    assert "geheim" not in repr(seen)


def test_a_password_without_a_user_name_in_the_environment_is_refused() -> None:
    with pytest.raises(ConfigError, match="GENREWATCH_MQTT_USERNAME"):
        MqttConfig().with_environment({"GENREWATCH_MQTT_PASSWORD": "x"})


def test_a_certificate_file_that_is_absent_or_no_pem_is_named(tmp_path: object) -> None:
    with pytest.raises(ConfigError, match=r"mqtt.ca_file: /nowhere/ca.pem cannot be used"):
        tls_context(MqttConfig(url="mqtts://h", ca_file="/nowhere/ca.pem"))
    with pytest.raises(ConfigError, match=re.escape(f"mqtt.cert_file: {__file__} cannot be used")):
        tls_context(MqttConfig(url="mqtts://h", cert_file=__file__))


def test_attempts_grow_rarer_up_to_a_limit_and_are_never_all_at_once() -> None:
    reconnect, rng = Reconnect(), random.Random(1)
    delays = [reconnect.delay_s(n, Outcome.UNREACHABLE, rng) for n in range(1, 8)]
    assert all(most / 2 <= delay <= most for delay, most in zip(delays, [1, 2, 4, 8, 15, 15, 15], strict=True))
    assert 30 <= reconnect.delay_s(1000, Outcome.REFUSED, rng) <= 60
    assert len({reconnect.delay_s(9, Outcome.REFUSED, rng) for _ in range(10)}) == 10


def test_systemd_credentials_bring_the_login_after_the_environment_and_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "mqtt_username").write_text("box\n")
    (tmp_path / "mqtt_password").write_text("gehe im\n")
    given = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    config = MqttConfig(username="file", password="old").with_environment(given)
    assert (config.username, config.password) == ("box", "gehe im")
    over = MqttConfig().with_environment({**given, "GENREWATCH_MQTT_PASSWORD": "new"})
    assert (over.username, over.password) == ("box", "new")
    (tmp_path / "mqtt_password").unlink()
    assert MqttConfig().with_environment(given).password is None
    assert MqttConfig(username="u").with_environment({"CREDENTIALS_DIRECTORY": str(tmp_path / "none")}).username == "u"
    (tmp_path / "mqtt_password").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="mqtt_password: cannot be read"):
        MqttConfig().with_environment(given)
