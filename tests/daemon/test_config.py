"""The configuration is read strictly; the node's id is made once and kept."""

import re
from pathlib import Path

import pytest

from genrewatch.cli import main
from genrewatch.contract.errors import ConfigError
from genrewatch.daemon.config import load_config

EXAMPLE = Path(__file__).parents[2] / "deploy" / "genrewatch.toml"


def test_the_example_configuration_is_valid_as_it_stands_and_with_every_key_in_use(tmp_path):
    config = load_config(EXAMPLE)
    assert [source.uri for source in config.source] == ["mic:"]
    assert config.mqtt.url == "mqtt://localhost"
    path = tmp_path / "all.toml"
    text = re.sub(r"^#(?=\w+ = |\[)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    text = re.sub(r'^(url = "http|notify|headers).*\n', "", text, flags=re.MULTILINE)  # a hook has a command or a url
    path.write_text(text.replace("mqtt://", "mqtts://"))  # the TLS files belong to mqtts
    path.chmod(0o600)
    everything = load_config(path)
    assert everything.node == "living-room"
    assert [source.id for source in everything.source] == ["vinyl"]
    assert everything.vote.segment_hop == 40992
    assert everything.level.hysteresis_db == 4.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[mqtt]\nulr = 'mqtt://x'", "mqtt.ulr: unknown key, did you mean url?"),
        ("[vote]\nsegments = 'nine'", 'vote.segments: found "nine", expected an integer'),
        ("[vote]\nsegments = true", "vote.segments: found true, expected an integer"),
        ("[level]\nsilence_dbfs = 3", "level.silence_dbfs: found 3.0, expected -140 to -10"),
        ("node = 'a/b'", "node: found 'a/b', expected 1 to 64 letters, digits, _ and -"),
        ("[level]\ndead_air_s = 0", "level.dead_air_s: found 0.0, expected 1 to 86400"),
        ("[[source]]\nuri = 'demo:'\nstall_s = 0", "stall_s: found 0.0, expected 0.2 to 3600"),
        ("[[source]]\nuri = 'demo:'\n[source.vote]\nsegments = 0", "source[0].vote.segments: found 0"),
        ("[[source]]\nid = 'a'", "source[0].uri: missing key"),
        ("[mqtt]\nurl = 'mqtt://me:secret@host'", "mqtt.url"),
        ("[mqtt]\npage_url = 'ftp://x'", "mqtt.page_url: found"),
        ("[mqtt]\ndevice_name = ' '", "mqtt.device_name: found ' ', expected a name"),
        ("[[source]]\nuri = 'demo:'\nsuggested_area = ''", "source[0].suggested_area: found ''"),
        (
            "[[source]]\nuri = 'demo:'\nexpected_genres = ['jaz']",
            "source[0].expected_genres: found 'jaz', expected some",
        ),
        (
            "[[source]]\nuri = 'demo:'\nlistening_hours = ['8-9']",
            "source[0].listening_hours: found '8-9', expected [DAYS",
        ),
        ("node = ", "is not TOML"),
        ("health_s = " + "9" * 5000, "is not TOML"),
        ("node = " + "[" * 5000, "is not TOML"),
        ("node = 0x" + "f" * 5000, "node: found a number out of range"),
    ],
)
def test_a_wrong_configuration_is_one_line_naming_file_and_key(tmp_path, capsys, text, message):
    path = tmp_path / "genrewatch.toml"
    path.write_text(text)
    assert main(["listen", "--config", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(path) in error
    assert message in error
    assert "secret" not in error


@pytest.mark.parametrize(
    ("vote", "message"),
    [
        ("segments = 0", "segments: found 0"),
        ("min_share = 0.4", "min_share: found 0.4, expected 0.5 to 1"),
        ("min_share = 1.5", "min_share: found 1.5, expected 0.5 to 1"),
        ("segment_hop = 1000", "expected a multiple of hop_length 1708"),
        ("segment_hop = 1708000", "or sound would be skipped"),
        ("enter_segments = 0", "enter_segments: found 0"),
    ],
)
def test_an_impossible_vote_is_refused_before_anything_starts(tmp_path, capsys, vote, message):
    path = tmp_path / "genrewatch.toml"
    path.write_text(f"[vote]\n{vote}\n")
    assert main(["listen", "--config", str(path), "--mqtt", "none"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert f"{path}: vote." in error


def test_a_missing_configuration_file_is_one_line(capsys):
    assert main(["listen", "--config", "/nowhere/genrewatch.toml"]) == 2
    assert capsys.readouterr().err == "genrewatch: /nowhere/genrewatch.toml: no such file or directory\n"


def test_a_file_with_a_password_must_be_readable_by_its_owner_only(tmp_path, capsys):
    path = tmp_path / "genrewatch.toml"
    path.write_text("[mqtt]\nusername = 'box'\npassword = 'geheim'\n")
    path.chmod(0o644)
    assert main(["listen", "--config", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"{path}: mqtt.password: other users of this machine can read it (mode 644), expected chmod 600" in error
    assert "geheim" not in error
    path.chmod(0o600)
    assert load_config(path).mqtt.password == "geheim"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[history]\nkeep_days = 0", "history.keep_days: found 0, expected 1 to 36500"),
        (
            "[history]\nmax_mb = 1\nposteriors = 5000",
            "history.posteriors: found 5000, expected 0 to 1250",
        ),
        ("[history]\nkeep = 3", "history.keep: unknown key, did you mean keep_days?"),
        ("[[hook]]\non = ['genre']\nurl = 'http://x/'", "hook[0].on"),
        ("[mqtt]\ndiscovery_prefix = 'a b'", "mqtt.discovery_prefix: found 'a b'"),
    ],
)
def test_the_new_tables_are_read_as_strictly(tmp_path, text, message):
    path = tmp_path / "genrewatch.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert message in str(refused.value)
