"""A programme of known content through the device's pipeline, and its figures."""

import csv
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.sounds import tune, write_wav

import genrewatch
from genrewatch import programme as demo
from genrewatch.audio.level import LevelConfig
from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.decode import encode
from genrewatch.contract.errors import ConfigError, GenrewatchError
from genrewatch.contract.vote import Ballot, VoteConfig
from genrewatch.inference.pipeline import classify_stream, open_pipeline
from genrewatch_trainer.cli import main
from genrewatch_trainer.evaluation.programme import (
    Piece,
    PieceSpan,
    Programme,
    ProgrammeOptions,
    random_programme,
    render_programme,
)
from genrewatch_trainer.evaluation.stream import default_grid, evaluate_stream, grid
from genrewatch_trainer.evaluation.stream_figures import SegmentBallot, figures, past_figures, past_verdicts, revote
from genrewatch_trainer.evaluation.vote_values import changed, parse_values, parse_vote

BUNDLE = Path(genrewatch.__file__).parent / "bundles" / "gtzan-compact"
RATE = 22_050
VOTE = VoteConfig(segments=3, segment_hop=10)
LABELS = ("jazz", "rock", "not_music")


def segments(*labels: str) -> list[SegmentBallot]:
    """Segments of 20 samples every 10; a posterior is not looked at, so all are alike."""
    return [
        SegmentBallot(
            start=10 * i, end=10 * i + 20, ballot=Ballot(label=label, posterior=np.full(3, 1 / 3, np.float32))
        )
        for i, label in enumerate(labels)
    ]


def test_delay_airtime_and_flicker_are_those_of_a_hand_made_stream() -> None:
    """T = 3: a genre is announced at its second ballot in three; at one sample a second the figures are plain numbers.

    end of segment  20    30    40    50    60    70    80    90    100   110
    ballot          rock  rock  rock  jazz  rock  jazz  jazz  jazz  rock  jazz
    output          -     rock  rock  rock  rock  jazz  jazz  jazz  jazz  jazz
    played          rock ......................... 60 | jazz ............... 110
    """
    ballots = segments("rock", "rock", "rock", "jazz", "rock", "jazz", "jazz", "jazz", "rock", "jazz")
    piece_spans = [PieceSpan(label="rock", start=0, end=60), PieceSpan(label="jazz", start=60, end=110)]
    found = figures(ballots, revote(ballots, VOTE, LABELS, 1), piece_spans, sample_rate=1)
    assert found.announce_median_s == pytest.approx((30 + 10) / 2)
    assert (found.never_announced, found.false_changes_per_hour) == (0, 0)
    assert found.right == pytest.approx((30 + 40) / 110)
    assert found.wrong == pytest.approx(10 / 110)
    assert found.refused == pytest.approx(30 / 110)
    assert found.airtime_error == pytest.approx(abs(60 / 110 - 40 / 80))
    assert (found.not_music_recall, found.silence_recall) == (None, None)
    assert found.segment_accuracy == pytest.approx(7 / 9)  # one segment lies across the border


def test_a_false_change_is_to_something_wrong_or_away_from_what_is_right() -> None:
    once = segments(*["rock"] * 3, *["jazz"] * 3, *["rock"] * 3)
    piece_spans = [PieceSpan(label="rock", start=0, end=100)]
    found = figures(once, revote(once, VOTE, LABELS, 1), piece_spans, sample_rate=1)
    assert found.false_changes_per_hour == pytest.approx(1 * 3600 / 100)  # to jazz; the way back is right
    steady = replace(VOTE, enter_segments=4)  # jazz leads for three votes
    assert figures(once, revote(once, steady, LABELS, 1), piece_spans, sample_rate=1).wrong == 0


def test_talk_that_is_known_and_a_genre_that_is_never_named() -> None:
    ballots = segments(*["not_music"] * 6, *["rock"] * 4)
    piece_spans = [PieceSpan(label="not_music", start=0, end=60), PieceSpan(label="jazz", start=60, end=110)]
    found = figures(ballots, revote(ballots, VOTE, LABELS, 1), piece_spans, sample_rate=1)
    assert found.not_music_recall == pytest.approx(30 / 60)
    assert found.music_as_not_music == pytest.approx(30 / 50)
    assert (found.never_announced, found.announce_median_s) == (1, None)
    assert found.false_changes_per_hour == pytest.approx(3600 / 110)


def test_pieces_meet_in_the_middle_of_their_fade_and_nothing_is_lost(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.full(2 * RATE, 0.5, np.float32))
    write_wav(tmp_path / "b.wav", np.full(RATE, -0.5, np.float32))
    pieces = (Piece(label="rock", files=("a.wav", "b.wav"), seconds=2.5), Piece(label="silence", seconds=3))
    rendered = render_programme(Programme(piece=pieces, fade_s=1), tmp_path, RATE)
    assert len(rendered.samples) == 4.5 * RATE
    assert [(s.start, s.end) for s in rendered.piece_spans] == [(0, 2 * RATE), (2 * RATE, len(rendered.samples))]
    assert rendered.samples[RATE] == pytest.approx(0.5, abs=1e-3)
    assert rendered.samples[2 * RATE] == pytest.approx(-0.25, abs=1e-3)
    assert not rendered.samples[int(2.5 * RATE) :].any()
    assert sum(len(block.samples) for block in rendered.blocks()) == len(rendered.samples)


def test_a_random_programme_depends_on_the_seed_and_neighbours_differ() -> None:
    genres = {genre: [Path(f"/{genre}{i}") for i in range(4)] for genre in ("jazz", "rock", "pop")}
    draw = [
        random_programme(genres, [Path("/talk")], ProgrammeOptions(pieces=50), np.random.default_rng(s))
        for s in (1, 1, 2)
    ]
    assert draw[0] == draw[1] != draw[2]
    labels = [piece.label for piece in draw[0].piece]
    assert all(one != other for one, other in pairwise(labels))
    assert set(labels) == {"jazz", "rock", "pop", "not_music", "silence"}
    used = [name for piece in draw[0].piece if piece.label == "rock" for name in piece.files]
    assert set(used[:4]) == {f"/rock{i}" for i in range(4)}


@pytest.mark.slow
def test_a_vote_on_the_ballots_alone_is_the_pipelines_own(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tune(25, seed=3))
    pieces = (Piece(label="jazz", files=("a.wav",)), Piece(label="silence", seconds=12))
    rendered = render_programme(Programme(piece=pieces), tmp_path, RATE)
    vote = {"segments": 4, "enter_segments": 2, "exit_segments": 3}
    pipeline = open_pipeline(BUNDLE, lambda own: changed(own, vote), LevelConfig())
    results = list(classify_stream(rendered.blocks(), pipeline))
    ballots = [SegmentBallot(start=result.start, end=result.end, ballot=result.ballot) for result in results]
    assert len(results) > 8
    assert revote(ballots, pipeline.vote, pipeline.manifest.labels, RATE) == [result.verdict for result in results]


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """Two genres that the shipped bundle knows, and one that it does not."""
    for genre, name in (("classical", "chorale"), ("hiphop", "beat and voice"), ("polka", "swing")):
        (tmp_path / "audio" / genre).mkdir(parents=True)
        for i in range(2):
            write_wav(tmp_path / "audio" / genre / f"{genre}.{i}.wav", demo.item(name, i)[: 20 * demo.SAMPLE_RATE])
    return tmp_path / "audio"


def test_evaluate_stream_composes_a_programme_and_plays_it_again(
    audio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once = ["evaluate-stream", str(BUNDLE), "--audio", str(audio), "--pieces", "4", "--clips-per-piece", "1", "--json"]
    assert main([*once, "-o", str(tmp_path / "out"), "--grid", "segments=3,5", "segment_hop=40992,81984"]) == 0
    own, *rows = map(json.loads, capsys.readouterr().out.splitlines())
    assert own["figures"]["pieces"] == 4
    assert own["vote"] == encode(load_bundle(BUNDLE).manifest.vote)
    assert len(rows) == 4
    assert rows == sorted(rows, key=lambda row: -row["score"])
    assert {(row["segments"], row["segment_hop"]) for row in rows} == {(t, h) for t in (3, 5) for h in (40992, 81984)}
    with open(tmp_path / "out" / "grid.csv", newline="") as lines:
        assert len(list(csv.DictReader(lines))) == 4
    for name in ("timeline.png", "grid.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    again = ["evaluate-stream", str(BUNDLE), "--programme", str(tmp_path / "out" / "programme.json"), "--json"]
    assert main(again) == 0
    assert json.loads(capsys.readouterr().out)["figures"] == own["figures"]


def test_only_clips_of_a_part_are_drawn(audio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{genre}.{i}" for genre in ("classical", "hiphop") for i in range(2)]
    rows = [f"{name}\t{name[:-2]}\t{'valid' if name.endswith('1') else 'test'}" for name in names]
    (tmp_path / "splits.tsv").write_text("\n".join(["name\tlabel\tmine", *rows]) + "\n")
    options = ["--splits", str(tmp_path / "splits.tsv"), "--part", "mine:valid", "--pieces", "3"]
    options += ["--clips-per-piece", "1", "-o", str(tmp_path / "out")]
    assert main(["evaluate-stream", str(BUNDLE), "--audio", str(audio), *options]) == 0
    assert "never announced" in capsys.readouterr().out
    drawn = json.loads((tmp_path / "out" / "programme.json").read_text())
    stems = {Path(name).stem for piece in drawn["piece"] for name in piece["files"]}
    assert stems <= {"classical.1", "hiphop.1"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--audio", "nowhere"], "nowhere: is not a folder, expected a folder per genre"),
        (["--programme", "nowhere.toml"], "nowhere.toml: no such file"),
        (["--programme", "bad.toml"], "bad.toml: piece[0].lable: unknown key, did you mean label?"),
        (["--audio", ".", "--vote", "segmnts=3"], "--vote: segmnts: unknown key, did you mean segments?"),
        (["--audio", ".", "--grid", "segments=a"], "--grid: segments: found 'a', expected a number"),
        (["--audio", ".", "--part", "a:b"], "--splits, --part: one without the other"),
    ],
)
def test_what_cannot_work_is_one_line(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text('[[piece]]\nlable = "rock"\n')
    (tmp_path / "rock").mkdir()
    (tmp_path / "rock" / "a.wav").write_bytes(b"")
    assert main(["evaluate-stream", str(BUNDLE), *options]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_votes_are_read_as_numbers_and_impossible_ones_refused() -> None:
    own = VoteConfig(segment_hop=10)
    assert parse_vote("segments=5,min_share=0.6", "--vote").apply(own) == replace(own, segments=5, min_share=0.6)
    assert parse_values(["segments=5,7"], "--grid") == {"segments": (5, 7)}
    with pytest.raises(ConfigError, match=r"vote\.segments: found 0"):
        changed(own, {"segments": 0})
    with pytest.raises(GenrewatchError, match=r"segments: found 2\.5, expected an integer"):
        parse_vote("segments=2.5", "--vote")


HMM = {"filter": "hmm", "segments": 3, "expected_duration_s": 30.0, "segment_weight": 0.5}


def test_a_filtered_vote_on_the_segments_is_the_pipelines_own(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", demo.item("chorale")[: 25 * demo.SAMPLE_RATE])
    pieces = (Piece(label="jazz", files=("a.wav",)), Piece(label="silence", seconds=12))
    rendered = render_programme(Programme(piece=pieces), tmp_path, RATE)
    pipeline = open_pipeline(BUNDLE, lambda own: changed(own, HMM), LevelConfig())
    results = list(classify_stream(rendered.blocks(), pipeline))
    evaluation = evaluate_stream(BUNDLE, rendered, lambda own: changed(own, HMM))
    assert list(evaluation.verdicts) == [result.verdict for result in results]
    assert any(result.verdict.genre for result in results)
    assert [s.ballot.filtered for s in evaluation.segments] == [None] * len(results)
    (trial,) = grid(BUNDLE, rendered, lambda own: own, {key: (value,) for key, value in HMM.items()})
    assert trial.figures == evaluation.figures


def test_the_default_grid_is_that_of_the_votes_filter() -> None:
    manifest = load_bundle(BUNDLE).manifest
    assert "segment_weight" not in default_grid(manifest, replace(manifest.vote, filter="none"))
    assert "segment_weight" in default_grid(manifest, replace(manifest.vote, filter="hmm"))


def test_filters_are_named_on_the_command_line() -> None:
    assert parse_vote("filter=hmm,segment_weight=0.25", "--vote").apply(VOTE) == replace(
        VOTE, filter="hmm", segment_weight=0.25
    )
    assert parse_values(["filter=none,hmm"], "--grid") == {"filter": ("none", "hmm")}
    with pytest.raises(ConfigError, match=r'--vote: filter: found "kalman", expected one of none, hmm'):
        parse_vote("filter=kalman", "--vote")


def test_changes_music_right_and_the_error_of_the_confidence_are_those_of_a_hand_made_stream() -> None:
    ballots = segments(*["rock"] * 4, *["not_music"] * 6)
    piece_spans = [PieceSpan(label="rock", start=0, end=50), PieceSpan(label="not_music", start=50, end=110)]
    found = figures(ballots, revote(ballots, VOTE, LABELS, 1), piece_spans, sample_rate=1)
    # rock at its second ballot (30), not_music at its second (70)
    assert found.changes_per_hour == pytest.approx(2 * 3600 / 110)
    assert found.music_right == pytest.approx(20 / 50)
    # four verdicts of rock with confidence 1/3: at 30, 40 and 50 it is played, at 60 no longer
    assert found.confidence_error == pytest.approx(3 / 4 - 1 / 3)


def test_what_the_history_keeps_is_dated_to_the_sound() -> None:
    sure = {label: np.where(np.array(LABELS) == label, 0.9, 0.05).astype(np.float32) for label in LABELS}
    played = ["rock"] * 20 + ["jazz"] * 20
    ballots = [
        SegmentBallot(start=10 * i, end=10 * i + 40, ballot=Ballot(label=label, posterior=sure[label]))
        for i, label in enumerate(played)
    ]
    spans = [PieceSpan(label="rock", start=0, end=220), PieceSpan(label="jazz", start=220, end=430)]
    vote = replace(VOTE, filter="hmm", expected_duration_s=600.0, segment_weight=0.5)
    published = past_figures(ballots, vote, LABELS, spans, 1, lag_s=0)
    kept = past_figures(ballots, vote, LABELS, spans, 1, lag_s=60)
    assert (published.right, kept.right) == (pytest.approx(340 / 430), pytest.approx(1))
    assert kept.announce_median_s == 0
    plain = replace(vote, filter="none")
    assert past_verdicts(ballots, plain, LABELS, 1, 60) == revote(ballots, plain, LABELS, 1)


@pytest.mark.slow
def test_lags_are_evaluated_beside_the_vote(audio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate-stream", str(BUNDLE), "--audio", str(audio), "--pieces", "2", "--clips-per-piece", "1"]
    assert main([*command, "--lag", "0", "15", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["lag_s"] for row in found["history"]] == [0, 15]
    assert all(row["figures"].keys() == found["figures"].keys() for row in found["history"])
    assert main([*command, "--lag", "15"]) == 0
    assert "what the history keeps, decided after 15 s:" in capsys.readouterr().out
