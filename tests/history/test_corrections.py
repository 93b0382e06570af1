"""Corrections: kept beside the history, by the page and by `genrewatch correct`; bounded, and safe from torn lines."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.history.rig import spell

from genrewatch.cli import main
from genrewatch.contract.errors import DataError
from genrewatch.history import corrections as module
from genrewatch.history.corrections import Correction, Corrections, corrections_path
from genrewatch.history.database import database_path
from genrewatch.history.store import HistoryStore

MADE = Correction(
    ts="2026-11-25T12:00:00.000Z",
    source="mic",
    seq=3,
    start="2026-11-25T11:00:00.000Z",
    end="2026-11-25T11:10:00.000Z",
    genre="rock",
    reason="majority",
    label="jazz",
    by="page",
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    store = HistoryStore(database_path(tmp_path, "box"), "box", deliver=False)
    store.append([spell(genre, start_s=10.0 * n) for n, genre in enumerate(("rock", "jazz", None))], [])
    store.close()
    return tmp_path


def test_the_newest_correction_of_a_spell_counts_and_none_withdraws(tmp_path: Path) -> None:
    kept = Corrections(tmp_path / "c.jsonl")
    other = replace(MADE, seq=4)
    for made in (MADE, other, replace(MADE, label="blues"), replace(other, label=None)):
        kept.add(made)
    assert kept.present() == [replace(MADE, label="blues")]
    assert len(kept.read()) == 4
    assert (tmp_path / "c.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "line",
    [b'{"ts": "2026', b"[]", b"[" * 100_000, b"\xff\xfe", b'{"label": "jazz"}', json.dumps({"seq": "3"}).encode()],
)
def test_a_torn_or_foreign_line_costs_only_itself(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(line)
    kept = Corrections(path)
    kept.add(MADE)
    assert kept.present() == [MADE]


def test_a_full_file_accepts_no_more_and_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Corrections(tmp_path / "c.jsonl")
    kept.add(MADE)
    monkeypatch.setattr(module, "MAX_BYTES", kept.path.stat().st_size + 10)
    with pytest.raises(DataError, match="full of corrections"):
        kept.add(MADE)
    assert kept.read() == [MADE]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        Corrections(tmp_path / "file" / "c.jsonl").add(MADE)


def test_the_command_corrects_lists_and_withdraws(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--state", str(state)]
    assert main(["correct", "2", "--label", "blues", *where]) == 0
    assert "mic  jazz -> blues" in capsys.readouterr().out
    assert main(["correct", "3", "--label", "our jingle", *where]) == 0
    capsys.readouterr()
    assert main(["correct", "--list", "--json", *where]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(made["seq"], made["genre"], made["label"], made["by"]) for made in found] == [
        (2, "jazz", "blues", "command"),
        (3, None, "our jingle", "command"),
    ]
    assert main(["correct", "2", "--undo", *where]) == 0
    assert [made.seq for made in Corrections(corrections_path(database_path(state, "box"))).present()] == [3]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "SEQ: found none, expected the number of a spell"),
        (["2"], "--label: found no label"),
        (["2", "--label", "a", "--undo"], "--label"),
        (["2", "--label", " a"], "printable characters"),
        (["2", "--label", "x" * 65], "printable characters"),
        (["99", "--label", "jazz"], "SEQ: no spell 99"),
        (["9223372036854775808", "--label", "jazz"], "SEQ: no spell"),
        (["2", "--list"], "no SEQ"),
    ],
)
def test_a_wrong_command_is_one_line(
    state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert main(["correct", *arguments, "--state", str(state)]) == 2
    assert text in capsys.readouterr().err
    assert not corrections_path(database_path(state, "box")).exists()
