"""The `[web]` table: safe by default, and explicit words for anything else."""

import argparse
from pathlib import Path

import pytest

from genrewatch.commands.listen import add_arguments, effective_config
from genrewatch.contract.errors import ConfigError
from genrewatch.daemon.config import load_config
from genrewatch.sinks.web.config import WebConfig, web_address


def test_by_default_only_this_machine_can_connect() -> None:
    config = WebConfig().with_environment({})
    assert (config.enabled, config.host, config.port, config.local) == (True, "127.0.0.1", 8710, True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "music.example.org"])
def test_another_address_needs_a_login_or_an_explicit_word(host: str) -> None:
    with pytest.raises(ConfigError, match="without a login"):
        WebConfig(host=host).with_environment({})
    assert WebConfig(host=host, without_login=True).with_environment({}).password is None
    assert WebConfig(host=host, password="a").with_environment({}).password == "a"
    assert WebConfig(host=host).with_environment({"GENREWATCH_WEB_PASSWORD": "b"}).password == "b"
    assert not WebConfig(host=host, enabled=False).with_environment({}).enabled


def test_systemd_hands_over_the_password(tmp_path: Path) -> None:
    (tmp_path / "web_password").write_text("c\n")
    assert WebConfig(host="::").with_environment({"CREDENTIALS_DIRECTORY": str(tmp_path)}).password == "c"


@pytest.mark.parametrize(
    "wrong",
    [{"port": 65_536}, {"port": -1}, {"host": ""}, {"password": ""}, {"hosts": ("http://a",)}, {"hosts": ("a:80",)}],
)
def test_what_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        WebConfig(**wrong)  # type: ignore[arg-type]


def test_the_file_is_decoded_strictly_and_keeps_its_password(tmp_path: Path) -> None:
    file = tmp_path / "genrewatch.toml"
    file.write_text('[web]\nhost = "0.0.0.0"\npassword = "secret"\nhosts = ["music.example.org"]\n')
    file.chmod(0o600)
    assert load_config(file).web.hosts == ("music.example.org",)
    assert "secret" not in repr(load_config(file))
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=r"web\.password.*other users"):
        load_config(file)
    file.write_text("[web]\nprt = 1\n")
    with pytest.raises(ConfigError, match="did you mean port"):
        load_config(file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("9000", ("127.0.0.1", 9000)), ("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:81", ("::1", 81))],
)
def test_the_option_sets_the_address(text: str, expected: tuple[str, int]) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    web = effective_config(parser.parse_args(["--web", text])).web
    assert (web.host, web.port, web.enabled) == (*expected, True)


def test_the_option_can_disable_it_and_refuses_nonsense() -> None:
    assert not web_address("none", WebConfig()).enabled
    for text in ("http://a", "a:b", "", ":99999999"):
        with pytest.raises(ConfigError):
            web_address(text, WebConfig())


def test_the_page_has_an_address_for_others_only_where_they_can_connect() -> None:
    assert WebConfig().url_for_others is None
    assert WebConfig(host="0.0.0.0", enabled=False).url_for_others is None
    assert WebConfig(host="192.168.1.7").url_for_others == "http://192.168.1.7:8710/"
    assert WebConfig(host="fd00::7", port=80).url_for_others == "http://[fd00::7]:80/"
    assert (WebConfig(host="0.0.0.0").url_for_others or "").endswith(".local:8710/")
