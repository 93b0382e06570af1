"""The reference and the example configuration are what the code says, and whole."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from docs.scripts.environment import names, variables
from docs.scripts.reference import ROOT, generated, outdated

from genrewatch.daemon.config import load_config
from genrewatch.daemon.config_file.field_docs import MissingDocstring, field_docs
from genrewatch.daemon.config_file.tables import tables

EXAMPLE = ROOT / "deploy" / "genrewatch.toml"


def uncommented() -> dict[str, Any]:
    """Decode the example with every key and table in force."""
    return tomllib.loads(re.sub(r"(?m)^#(\w+ = |\[)", r"\1", EXAMPLE.read_text(encoding="utf-8")))


def test_the_committed_files_are_those_that_the_code_gives() -> None:
    assert outdated() == [], "run `make docs-reference`"


@pytest.mark.slow
def test_a_file_that_differs_or_is_absent_is_found(tmp_path: Path) -> None:
    for name, text in generated().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert outdated(tmp_path) == []
    (tmp_path / "deploy/genrewatch.toml").write_text("", encoding="utf-8")
    (tmp_path / "docs/reference/commands.md").unlink()
    assert set(outdated(tmp_path)) == {"deploy/genrewatch.toml", "docs/reference/commands.md"}


def test_the_example_is_accepted_and_sets_only_the_source_and_the_broker() -> None:
    config = load_config(EXAMPLE)
    assert [source.uri for source in config.source] == ["mic:"]
    assert config.mqtt.url == "mqtt://localhost"
    assert config.hook == ()


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.name or "top")
def test_the_example_shows_every_key_of_every_table_and_its_default(table: Any) -> None:
    shown: Any = uncommented()
    for name in table.name.split(".") if table.name else ():
        shown = shown[name]
        shown = shown[0] if isinstance(shown, list) else shown
    assert {key.name for key in table.keys} <= set(shown)


def test_the_reference_names_every_key() -> None:
    page = generated()["docs/reference/configuration.md"]
    assert "| `expire_after_s` | integer | `120` |" in page
    for table in tables():
        assert not table.header or f"## `{table.header}`" in page
        for key in table.keys:
            assert f"| `{key.name}` |" in page


def test_the_reference_names_commands_of_all_three_command_lines() -> None:
    page = generated()["docs/reference/commands.md"]
    for command in ("genrewatch listen", "genrewatch history verify", "genrewatch-train fit", "genrewatch-export"):
        assert re.search(rf"^##+ {command}$", page, re.MULTILINE), command
    assert "`--source URI`" in page


def test_every_option_and_every_key_has_a_meaning() -> None:
    for name in ("commands", "configuration"):
        page = generated()[f"docs/reference/{name}.md"]
        assert re.findall(r"^\| .*\|  ?\|$", page, re.MULTILINE) == [], name


def test_the_reference_names_topics_and_fields() -> None:
    page = generated()["docs/reference/payloads.md"]
    for topic in ("<base>/<node>/status", "<base>/<node>/<source>/state", "<base>/<node>/<source>/listen/set"):
        assert f"`{topic}`" in page
    assert "| `sources.*.lost_s` | number, at least 0 |" in page


def test_the_reference_names_environment_variables_that_modules_read() -> None:
    assert variables()["GENREWATCH_MQTT_PASSWORD"]
    assert names('where = os.environ.get("SOME_DIRECTORY")') == {"SOME_DIRECTORY"}
    assert names('where = "SOME_DIRECTORY"') == set()
    assert names('where = "GENREWATCH_THING"') == {"GENREWATCH_THING"}


class Documented:
    """Fields with and without docstrings."""

    first: int = 1
    """One thing."""
    second: int = 2


def test_a_field_without_a_docstring_is_an_error_that_names_it() -> None:
    with pytest.raises(MissingDocstring, match=r"Documented\.second"):
        field_docs(Documented)
