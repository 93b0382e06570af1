"""Corrections in the hash chain: each line of the file once, verified, delivered, and shown where that is asked for."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.contract.promises import schemas
from tests.history.rig import NOON, FakeTransport, spell
from tests.history.test_corrections import MADE
from tests.history.test_writer import until

from genrewatch.cli import main
from genrewatch.history.correction_inbox import CorrectionInbox, CorrectionRequest
from genrewatch.history.correction_records import present_corrections
from genrewatch.history.corrections import Corrections, corrections_path, parsed_correction
from genrewatch.history.database import database_path, open_for_writing
from genrewatch.history.delivery import Delivery
from genrewatch.history.reader import HistoryReader, Selection
from genrewatch.history.schema import LATER_TABLES
from genrewatch.history.store import HistoryStore
from genrewatch.history.verify import verify_history, verify_records
from genrewatch.host.times import Timestamp

AT = Timestamp(utc_ms=NOON + 100_000, mono_s=100.0)
FIRST = replace(MADE, seq=1, genre="rock", start="2026-11-24T12:00:00.000Z", label="blues", by="command")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database_path(tmp_path, "box")


@pytest.fixture
def store(path: Path) -> Iterator[HistoryStore]:
    store = HistoryStore(path, "box", deliver=True)
    store.append([spell(genre, start_s=10.0 * n) for n, genre in enumerate(("rock", "jazz", None))], [])
    yield store
    store.close()


def read(path: Path, *, corrections: bool) -> list[dict]:
    reader = HistoryReader(path)
    try:
        return [record for page in reader.pages(Selection(), corrections=corrections) for record in page]
    finally:
        reader.close()


def test_a_line_becomes_one_record_of_the_chain(store: HistoryStore, path: Path) -> None:
    inbox, file = CorrectionInbox(path), Corrections(corrections_path(path))
    for made in (FIRST, replace(FIRST, label="jazz", ts="2026-11-25T12:00:01.000Z")):
        file.add(made)
        for again in (inbox, CorrectionInbox(path)):
            again.run(store, [], AT)
    records = read(path, corrections=True)
    assert [(record["seq"], record.get("corrects"), record.get("label")) for record in records[3:]] == [
        (4, 1, "blues"),
        (5, 1, "jazz"),
    ]
    assert records[3]["spell_hash"] == records[0]["hash"]
    assert len(read(path, corrections=False)) == 3
    found = verify_history(HistoryReader(path))
    assert (found.fault, found.records) == (None, 5)
    assert [one.fault for one in verify_records([json.loads(json.dumps(record)) for record in records])] == [None]
    sqlite3.connect(path).execute(
        "UPDATE spells SET record = replace(record, 'blues', 'metal') WHERE seq = 4"
    ).connection.commit()
    assert "does not match its hash" in str(verify_history(HistoryReader(path)).fault)


def test_a_correction_has_a_topic_of_its_own_and_its_schema(store: HistoryStore, path: Path) -> None:
    Corrections(corrections_path(path)).add(FIRST)
    CorrectionInbox(path).run(store, [], AT)
    kinds: list[str] = []

    class Transport(FakeTransport):
        def publish(self, source: str, payload: bytes, kind: str = "history") -> int | None:
            kinds.append(kind)
            return super().publish(source, payload)

    transport = Transport()
    delivery = Delivery(transport, per_s=1000.0)
    until(lambda: delivery.run(store) or len(kinds) == 4)
    assert kinds == ["history", "history", "history", "correction"]
    Draft202012Validator(schemas()["correction"]).validate(transport.published[3][1])


def test_an_earlier_database_gets_the_table_and_one_without_it_is_read(path: Path) -> None:
    old = open_for_writing(path)
    old.execute(f"DROP TABLE {LATER_TABLES.split()[2]}")
    old.close()
    reader = HistoryReader(path)
    assert present_corrections(path, reader) == []
    reader.close()
    store = HistoryStore(path, "box", deliver=False)
    store.append_corrections([FIRST], AT)
    assert store.stored == 1


def test_the_chain_keeps_a_correction_whose_file_is_gone(store: HistoryStore, path: Path) -> None:
    file = Corrections(corrections_path(path))
    file.add(FIRST)
    CorrectionInbox(path).run(store, [], AT)
    file.path.unlink()
    assert [made.label for made in present_corrections(path, HistoryReader(path))] == ["blues"]
    file.add(replace(FIRST, label=None, ts="2026-11-25T13:00:00.000Z"))
    assert present_corrections(path, HistoryReader(path)) == []


@pytest.mark.parametrize(("seq", "refused"), [(2, None), (9, "no spell 9"), (None, None)])
def test_a_request_is_kept_or_refused_in_one_line(
    store: HistoryStore, path: Path, seq: int | None, refused: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = CorrectionInbox(path)
    inbox.add([CorrectionRequest(source="mic", seq=seq, label="blues")])
    inbox.run(store, [spell("disco", start_s=30.0)], AT)
    if refused:
        assert refused in str(inbox.refused)
        assert refused in caplog.text
    made = Corrections(corrections_path(path)).read()
    assert [(one.seq, one.by, one.label) for one in made] == ([] if refused else [(seq, "mqtt", "blues")])


def test_without_an_open_spell_there_is_no_present_one(store: HistoryStore, path: Path) -> None:
    inbox = CorrectionInbox(path)
    inbox.add([CorrectionRequest(source="mic", seq=None, label="blues")])
    inbox.run(store, [], AT)
    assert inbox.refused == "mic/correct/set: no spell goes on"


def test_a_file_that_cannot_be_read_is_a_problem_and_stops_nothing(store: HistoryStore, path: Path) -> None:
    corrections_path(path).mkdir()
    inbox = CorrectionInbox(path)
    inbox.run(store, [], AT)
    assert "cannot be read" in str(inbox.problem)
    corrections_path(path).rmdir()
    Corrections(corrections_path(path)).add(FIRST)
    inbox.run(store, [], AT)
    assert inbox.problem is None
    assert store.stored == 4


WORDS = st.none() | st.integers() | st.text(max_size=8) | st.sampled_from(["mic", FIRST.ts, "\ud800", "x" * 300])


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.sampled_from(list(FIRST.__dataclass_fields__)), WORDS))
def test_whatever_a_line_holds_the_chain_stays_whole(tmp_path_factory: pytest.TempPathFactory, wrong: dict) -> None:
    path = database_path(tmp_path_factory.mktemp("h"), "box")
    store = HistoryStore(path, "box", deliver=True)
    line = json.dumps({**FIRST.__dict__, **wrong}).encode()
    corrections_path(path).write_bytes(line + b"\n")
    CorrectionInbox(path).run(store, [], AT)
    assert store.stored == (parsed_correction(json.loads(line)) is not None)
    store.close()
    reader = HistoryReader(path)
    assert verify_history(reader).fault is None
    assert len(present_corrections(path, reader)) <= 1
    reader.close()


def test_history_and_report_show_the_corrected_genre_where_asked(
    store: HistoryStore, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Corrections(corrections_path(path)).add(FIRST)
    CorrectionInbox(path).run(store, [], AT)
    where = ["--state", str(path.parent)]
    assert main(["history", *where]) == 0
    assert "rock" in (plain := capsys.readouterr().out)
    assert "blues" not in plain
    assert main(["history", "--csv", "--corrected", *where]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["genre"], row["corrected"]) for row in rows] == [("rock", "blues"), ("jazz", ""), ("", "")]
    assert main(["history", "--corrected", *where]) == 0
    assert "[corrected]" in capsys.readouterr().out
    assert main(["report", "--json", "--corrected", *where]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["genres_s"] == {"blues": 10.0, "jazz": 10.0}
    assert main(["history", "--json", "--corrected", *where]) == 0
    printed = capsys.readouterr().out
    (path.parent / "lines").write_text(printed)
    assert [json.loads(line).get("kind") for line in printed.splitlines()] == [None, None, None, "correction"]
    assert main(["history", "verify", "--file", str(path.parent / "lines")]) == 0
