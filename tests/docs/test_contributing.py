"""What CONTRIBUTING shows works as it is shown."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from genrewatch.contract.errors import SourceError
from genrewatch.sources.kinds import KINDS, open_sources
from genrewatch.sources.uri import SourceConfig

CONTRIBUTING = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


class NoEvents:
    """Callbacks that nothing listens to."""

    def on_source_online(self, source_id: str, why: str) -> None: ...

    def on_source_offline(self, source_id: str, why: str) -> None: ...

    def on_source_now_playing(self, source_id: str, playing: Any) -> None: ...


@pytest.fixture
def tone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the source that CONTRIBUTING shows as it says: one file, one line."""
    block = re.search(r"(?s)    ```python\n(.*?)    ```", CONTRIBUTING)
    line = re.search(r'`"(\w+)": (\w+),` in `KINDS`', CONTRIBUTING)
    assert block
    assert line
    module: dict[str, Any] = {}
    exec(textwrap.dedent(block[1]), module)
    monkeypatch.setitem(KINDS, line[1], module[line[2]])


@pytest.mark.usefixtures("tone")
def test_a_new_source_takes_one_file_and_one_line() -> None:
    (source,) = open_sources([SourceConfig(uri="tone:440?id=a")])
    block = next(iter(source.blocks(NoEvents())))
    source.close()
    assert source.id == "a"
    assert len(block.samples) == block.sample_rate == 22_050
    assert abs(block.samples[:100]).max() > 0.9


def test_without_that_line_the_kind_is_unknown() -> None:
    with pytest.raises(SourceError, match="not a source"):
        open_sources([SourceConfig(uri="tone:440")])


def test_the_glossary_is_complete() -> None:
    glossary = CONTRIBUTING.partition("## Glossary")[2].partition("\n## ")[0]
    for word in ("block", "segment", "ballot", "refused", "spell", "outbox", "PUBACK", "bundle", "readout", "drill"):
        assert re.search(rf"^\| [^|]*\b{word}\b", glossary, re.MULTILINE), word
