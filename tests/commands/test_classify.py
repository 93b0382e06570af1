"""`genrewatch classify` on files and folders, with the shipped bundle."""

import json

import numpy as np
import pytest
from tests.sounds import tune, write_wav

from genrewatch.cli import main
from genrewatch.contract.bundle import load_bundle
from genrewatch.host.paths import SHIPPED_BUNDLE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two tunes, silence, a sound too short, a text file named .wav and one that is not a sound at all."""
    path = tmp_path_factory.mktemp("sounds")
    (path / "deep").mkdir()
    write_wav(path / "a.wav", tune(14, seed=1))
    write_wav(path / "deep" / "b.wav", tune(12, rate=44_100, seed=2), rate=44_100, channels=2)
    write_wav(path / "c silence.wav", np.zeros(22_050 * 12, np.float32))
    write_wav(path / "d short.wav", tune(2))
    (path / "e broken.wav").write_text("this is text")
    (path / "notes.txt").write_text("not a sound")
    return path


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_folder_gives_a_line_a_sound_file_and_the_broken_one_costs_exit_code_1(folder, capsys):
    assert main(["classify", str(folder), "--json"]) == 1
    records = {record["path"].rpartition("/")[2]: record for record in lines(capsys)}
    assert list(records) == ["a.wav", "c silence.wav", "d short.wav", "b.wav", "e broken.wav"]
    fields = {"path", "genre", "reason", "share", "confidence", "segments", "votes"}
    assert all(set(record) == fields for name, record in records.items() if "broken" not in name)
    assert records["a.wav"]["segments"] == 4
    assert sum(records["a.wav"]["votes"].values()) == 4
    assert records["b.wav"]["segments"] == 3
    silence = records["c silence.wav"]
    assert (silence["genre"], silence["reason"], silence["confidence"]) == (None, "silence", None)
    assert (silence["votes"], silence["segments"], silence["share"]) == ({"silence": 3}, 3, 1.0)
    assert records["d short.wav"]["reason"] == "warming_up"
    assert records["d short.wav"]["segments"] == 0
    assert "cannot be decoded" in records["e broken.wav"]["error"]


def test_several_processes_print_the_same_in_the_same_order(folder, capsys):
    main(["classify", str(folder), "--json", "--timeline"])
    alone = lines(capsys)
    assert main(["classify", str(folder), "--json", "--timeline", "--jobs", "3"]) == 1
    assert lines(capsys) == alone


def test_a_timeline_ends_with_the_file_and_its_segments_follow_the_hop(folder, capsys):
    assert main(["classify", str(folder / "a.wav"), "--json", "--timeline"]) == 0
    *timeline, summary = lines(capsys)
    assert [round(line["start_s"] * 22_050) for line in timeline] == pytest.approx([0, 40992, 81984, 122976], abs=12)
    n_ballots = load_bundle(SHIPPED_BUNDLE).manifest.vote.segments
    assert [line["segments"] for line in timeline] == [min(n, n_ballots) for n in (1, 2, 3, 4)]
    assert timeline[0]["reason"] == "warming_up"
    assert sum(summary["votes"].values()) == 4


def test_people_read_a_line_a_file(folder, capsys):
    main(["classify", str(folder / "c silence.wav"), str(folder / "e broken.wav")])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("(silence)")
    assert first.endswith("c silence.wav")
    assert second.startswith("error: ")


def test_a_folder_without_sound_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert main(["classify", str(tmp_path)]) == 2
    assert "no sound files in this folder" in capsys.readouterr().err


def test_an_empty_folder_beside_others_is_one_line_and_the_others_are_classified(folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["classify", str(tmp_path / "empty"), str(folder / "c silence.wav")]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("(silence)")
    assert printed.err.splitlines() == [f"genrewatch: {tmp_path / 'empty'}: no sound files in this folder"]


def test_twenty_db_quieter_gives_the_same_verdicts(tmp_path, capsys):
    sound = tune(20, seed=7, level=0.3)  # no segment of it lies between two labels, where 16 bit decide
    write_wav(tmp_path / "loud.wav", sound)
    write_wav(tmp_path / "quiet.wav", sound / 10)
    main(["classify", str(tmp_path / "loud.wav"), str(tmp_path / "quiet.wav"), "--json", "--timeline"])
    records = lines(capsys)
    half = len(records) // 2
    assert [(r["genre"], r["votes"]) for r in records[:half]] == [(r["genre"], r["votes"]) for r in records[half:]]
    assert records[half - 1]["confidence"] == pytest.approx(records[-1]["confidence"], abs=0.01)
    assert records[0]["level_dbfs"] - records[half]["level_dbfs"] == pytest.approx(20, abs=0.2)
