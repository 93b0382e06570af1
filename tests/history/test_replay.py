"""`genrewatch replay`: verdicts of the real pipeline, derived again from the posteriors that the real sink stored."""

import json
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from tests.sounds import RATE, tune

from genrewatch.audio.level import LevelConfig
from genrewatch.audio.pcm import Block
from genrewatch.cli import main
from genrewatch.contract.filter import ForwardFilter, LabelChain
from genrewatch.contract.out_of_set import counted
from genrewatch.contract.vote import SILENCE, UNKNOWN, Ballot, MajorityVote, VoteConfig
from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.history.config import HistoryConfig
from genrewatch.history.database import database_path
from genrewatch.history.posterior_buffer import POSTERIOR_TYPE
from genrewatch.history.replay import Disagreement, RecordedSegment, RecordedStream, VerdictChecker
from genrewatch.history.store import HistoryStore
from genrewatch.inference.json_fields import verdict_fields
from genrewatch.inference.pipeline import classify_stream, open_pipeline
from genrewatch.programme import item
from genrewatch.sinks.history import HistorySink

LABELS = ("blues", "jazz", "not_music")
HOP, SEGMENT = 100, 400


@pytest.fixture(scope="module")
def pipeline():
    """The plain vote, which is refused unless it is unanimous."""

    def adjust(vote):
        return replace(vote, segments=3, min_share=1.0, filter="none")

    return open_pipeline(SHIPPED_BUNDLE, adjust, LevelConfig())


@pytest.fixture(scope="module")
def results(pipeline):
    """Results of the pipeline for `classified`."""
    return classified(pipeline)


def classified(pipeline):
    """Music and silence with a short gap, a long one, and several short ones that add up to more than a segment."""
    segment = pipeline.manifest.front_end.segment_samples
    lost = [0, segment // 3, segment + 1, 0, 0, segment // 3 * 2, segment // 3 * 2]
    quiet = np.zeros(RATE * 12, np.float32)
    sounds = [
        item("chorale")[: 14 * RATE],
        item("swing")[: 24 * RATE],
        np.concatenate([item("skank")[: 12 * RATE], item("swing")[: 5 * RATE], item("chorale")[: 6 * RATE]]),
        quiet,
        tune(14, seed=4),
    ]
    sounds += [tune(2), item("chorale")[: 14 * RATE]]
    blocks = [Block(samples=sound, sample_rate=RATE, lost=n) for sound, n in zip(sounds, lost, strict=True)]
    return list(classify_stream(blocks, pipeline))


def recorded(directory, pipeline, results, *, rows=1000, source="mic", lag_s=0.0, stalls=()):
    """Write the results to a database and return its path; the source stalls after some of them."""
    path = database_path(directory, "box")
    sink = HistorySink(path, "box", HistoryConfig(posteriors=rows, lag_s=lag_s), names={})
    sink.start()
    sink.on_stream(source, pipeline)
    for i, result in enumerate(results):
        sink.on_result(source, result)
        if i in stalls:
            sink.on_stalled(source)
    sink.flush()
    return path


def replayed(capsys, path, code=0, *more):
    assert main(["replay", str(path), "--json", *more]) == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_sound_has_every_kind_of_gap_and_verdict(results):
    counts = [result.verdict.segments for result in results]
    assert 1 in counts[1:]  # one gap cleared the vote
    lost = np.diff([result.lost for result in results])
    longest = results[0].end - results[0].start
    assert sum(lost > longest) == 2  # and one did not, because it was several short ones
    assert counts[1:].count(1) == 1
    assert {"silence", "majority", "refused", "warming_up"} <= {result.verdict.reason for result in results}


def test_every_verdict_of_the_pipeline_follows_from_what_was_recorded(tmp_path, pipeline, results, capsys):
    path = recorded(tmp_path, pipeline, results)
    (found,) = replayed(capsys, path)
    n = len(results)
    assert found == {
        "source": "mic", "segments": n, "derived": n, "agreeing": n, "disagreeing": 0, "not_judgeable": 0,
        "past": 0, "past_disagreeing": 0, "disagreements": [],
    }  # fmt: skip
    assert main(["replay", "--state", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"mic  {n} segments, {n} verdicts derived, {n} agree\n"


def test_verdicts_after_a_missing_start_of_the_stream_are_undecidable(tmp_path, pipeline, results, capsys):
    (found,) = replayed(capsys, recorded(tmp_path, pipeline, results, rows=len(results) - 1))
    assert (found["disagreeing"], found["not_judgeable"], found["segments"]) == (0, 2, len(results) - 1)
    main(["replay", "--state", str(tmp_path)])
    assert "2 undecidable: the segments before them are not recorded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "value"),
    [("genre", "polka"), ("reason", "held"), ("share", 0.1234), ("confidence", 0.9), ("votes", {"rock": 1})],
)
def test_any_field_of_a_verdict_that_does_not_follow_is_a_disagreement(tmp_path, pipeline, results, capsys, key, value):
    path = recorded(tmp_path, pipeline, results)
    db = sqlite3.connect(path)
    verdict = json.loads(db.execute("SELECT verdict FROM segments WHERE segment = 3").fetchone()[0])
    db.execute("UPDATE segments SET verdict = ? WHERE segment = 3", (json.dumps({**verdict, key: value}),))
    db.commit()
    db.close()
    (found,) = replayed(capsys, path, 1)
    assert (found["disagreeing"], found["agreeing"]) == (1, len(results) - 1)
    (difference,) = found["disagreements"]
    assert difference["recorded"][key] == value != difference["derived"][key]
    assert difference["end_s"] == round(results[2].end / RATE, 3)
    assert main(["replay", str(path)]) == 1
    output = capsys.readouterr().out
    assert "1 DISAGREE" in output
    assert f"recorded {key} " in output


def test_a_changed_posterior_is_a_disagreement(tmp_path, pipeline, results, capsys):
    path = recorded(tmp_path, pipeline, results)
    db = sqlite3.connect(path)
    (blob,) = db.execute("SELECT posterior FROM segments WHERE segment = 2").fetchone()
    turned = np.roll(np.frombuffer(blob, POSTERIOR_TYPE), 1).tobytes()
    db.execute("UPDATE segments SET posterior = ? WHERE segment = 2", (turned,))
    db.commit()
    (found,) = replayed(capsys, path, 1)
    assert found["disagreements"][0]["derived"]["label"] != found["disagreements"][0]["recorded"]["label"]
    db.execute("UPDATE segments SET posterior = x'00' WHERE segment = 2")
    db.commit()
    db.close()
    assert main(["replay", str(path)]) == 2
    assert "a posterior of 1 bytes" in capsys.readouterr().err


def test_a_label_that_is_not_the_top1_of_the_posterior_is_a_disagreement():
    of = stream()
    segments = record(of, ["jazz"] * 4)
    segments[1] = replace(segments[1], label="blues")
    assert answers(of, segments) == [True, "no", True, True]


def test_sharpness_is_recorded_with_the_vote_and_used(tmp_path, pipeline, results, capsys):
    sharp = replace(pipeline, vote=replace(pipeline.vote, plain_sharpness=2.0))
    path = recorded(tmp_path, sharp, results)  # the verdicts were computed without it
    found = replayed(capsys, path, 1)[-1]
    assert found["disagreeing"] == sum(result.verdict.genre is not None for result in results)


def test_a_stream_recorded_before_votes_had_a_sharpness_is_checked(tmp_path, capsys):
    def adjust(vote):
        return replace(vote, segments=3, sharpness=1.0, plain_sharpness=None, filter="none")

    pipeline = open_pipeline(SHIPPED_BUNDLE, adjust, LevelConfig())
    results = classified(pipeline)
    path = recorded(tmp_path, pipeline, results)
    with sqlite3.connect(path) as db:
        (vote,) = db.execute("SELECT vote FROM streams").fetchone()
        before = {key: value for key, value in json.loads(vote).items() if "sharpness" not in key}
        assert len(before) == len(json.loads(vote)) - 2
        db.execute("UPDATE streams SET vote = ?", (json.dumps(before),))
    assert replayed(capsys, path)[-1]["agreeing"] == len(results)


def test_outcomes_are_by_source_and_one_source_can_be_chosen(tmp_path, pipeline, results, capsys):
    path = recorded(tmp_path, pipeline, results)
    recorded(tmp_path, pipeline, results[:5], source="line")
    assert [(one["source"], one["segments"]) for one in replayed(capsys, path)] == [("mic", len(results)), ("line", 5)]
    assert [one["source"] for one in replayed(capsys, path, 0, "--source", "line")] == ["line"]
    assert main(["replay", str(path), "--source", "lime"]) == 2
    assert "--source: no posteriors of lime, expected one of line, mic" in capsys.readouterr().err


def test_without_posteriors_the_error_names_the_setting(tmp_path, capsys):
    path = database_path(tmp_path, "box")
    HistoryStore(path, "box", deliver=False).close()
    assert main(["replay", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"genrewatch: {path}: no recorded posteriors, expected `[history] posteriors = 100000` in the config"
    )
    assert main(["replay", str(tmp_path / "absent.db")]) == 2
    assert "cannot be read (no such file" in capsys.readouterr().err


def stream(**vote):
    config = VoteConfig(**{"segments": 3, "segment_hop": HOP, **vote})
    return RecordedStream(
        number=1, source="mic", started="2026-11-24T12:00:00.000Z", model="net", version="1", labels=LABELS,
        vote=config, segment_samples=SEGMENT,
    )  # fmt: skip


def record(of, labels, *, lost=(), cleared=(), rng=None):
    """Segments as a daemon records them; `lost`: samples before each, `cleared`: indices where the vote is cleared."""
    rng = rng or np.random.default_rng(1)
    vote, start, lost_so_far, segments = MajorityVote(of.vote, LABELS), 0, 0, []
    for index, label in enumerate(labels):
        missing = lost[index] if lost else 0
        if missing:
            start, lost_so_far = start - HOP + SEGMENT + missing, lost_so_far + missing
        if index in cleared:
            vote.clear()
        posterior = None
        if label != SILENCE:
            posterior = rng.dirichlet(np.ones(len(LABELS))).astype(np.float32)
            best = int(posterior.argmax())
            swap = [best, LABELS.index("jazz" if label == UNKNOWN else label)]
            posterior[swap] = posterior[swap[::-1]]
        verdict = verdict_fields(vote.add(Ballot(label=label, posterior=posterior)))
        segments.append(
            RecordedSegment(
                start=start,
                end=start + SEGMENT,
                sample_rate=RATE,
                lost=lost_so_far,
                label=label,
                posterior=None if posterior is None else posterior.tobytes(),
                verdict=json.loads(json.dumps(verdict)),
            )
        )
        start += HOP
    return segments


def answers(of, segments):
    checker = VerdictChecker(of)
    return ["no" if isinstance(a, Disagreement) else a for a in map(checker.check, segments)]


def test_one_long_gap_and_several_short_ones_are_distinguished_by_later_verdicts():
    of, labels = stream(), ["jazz"] * 4 + ["blues"] * 4
    lost = [0, 0, 0, 0, SEGMENT + 1, 0, 0, 0]
    assert answers(of, record(of, labels, lost=lost, cleared=[4])) == [True] * 8
    assert answers(of, record(of, labels, lost=lost)) == [True] * 8


def test_a_gap_of_a_segment_or_less_cannot_have_cleared_the_vote():
    of, labels = stream(), ["jazz"] * 4 + ["blues"] * 4
    lost = [0, 0, 0, 0, SEGMENT, 0, 0, 0]
    assert answers(of, record(of, labels, lost=lost)) == [True] * 8
    assert answers(of, record(of, labels, lost=lost, cleared=[4]))[4] == "no"


def test_verdicts_after_a_disagreement_are_still_checked():
    of = stream()
    segments = record(of, ["jazz", "jazz", "blues", "blues", "blues"])
    segments[1] = replace(segments[1], verdict={**segments[1].verdict, "share": 0.5})
    assert answers(of, segments) == [True, "no", True, True, True]


def test_with_hysteresis_a_stream_is_checked_once_the_announced_genre_follows_from_recorded_segments():
    of = stream(segments=1, enter_segments=3, exit_segments=2)
    segments = record(of, ["jazz"] * 5 + ["blues", "jazz", "blues", "blues", "blues", "jazz"])
    assert answers(of, segments) == [True] * 11
    assert answers(of, segments[4:]) == [None, None, None, None, None, True, True]


@pytest.mark.parametrize(
    "vote", [{}, {"segments": 5, "enter_segments": 2, "exit_segments": 3}, {"segments": 1, "exit_segments": 4}]
)
def test_wherever_a_recording_starts_nothing_disagrees_and_later_verdicts_are_all_checked(rng, vote):
    of = stream(**vote)
    runs = [
        [label] * int(n) for label, n in zip(rng.choice([*LABELS, SILENCE], 40), rng.integers(1, 9, 40), strict=True)
    ]
    labels = [label for run in runs for label in run]
    lost = [int(rng.choice([0, 0, 0, 0, 0, 0, 50, SEGMENT + 5])) if i else 0 for i in range(len(labels))]
    cleared = [i for i, n in enumerate(lost) if n > SEGMENT]
    segments = record(of, labels, lost=lost, cleared=cleared, rng=rng)
    assert answers(of, segments) == [True] * len(labels)
    for begin in range(1, len(segments) - 80):
        found = answers(of, segments[begin:])
        assert "no" not in found
        assert found[-1] is True


def test_a_stream_that_starts_with_a_loss_is_checked_from_its_first_segment():
    of = stream()
    segments = [
        replace(s, start=s.start + 7000, end=s.end + 7000, lost=s.lost + 6950) for s in record(of, ["jazz"] * 3)
    ]
    assert answers(of, segments) == [True, True, True]  # fifty samples came before, too few for a segment
    late = [replace(s, start=s.start + HOP) for s in segments]
    assert answers(of, late) == [None, None, True]


def test_unrecorded_segments_make_the_next_verdicts_undecidable():
    of = stream()
    segments = record(of, ["jazz"] * 30 + ["blues"] * 4)
    assert answers(of, [*segments[:4], *segments[30:]]) == [True] * 4 + [None, None, True, True]


@pytest.fixture(scope="module")
def filtering():
    """The pipeline with a forward filter."""

    def adjust(vote):
        return replace(vote, segments=3, filter="hmm", expected_duration_s=60.0, segment_weight=0.5)

    return open_pipeline(SHIPPED_BUNDLE, adjust, LevelConfig())


@pytest.fixture(scope="module")
def filtered(filtering):
    """Results of the filtering pipeline on `classified`."""
    return classified(filtering)


def test_filtered_verdicts_follow_from_the_recorded_posteriors(tmp_path, filtering, filtered, results, capsys):
    assert [r.verdict for r in filtered] != [r.verdict for r in results]
    path = recorded(tmp_path, filtering, filtered)
    (found,) = replayed(capsys, path)
    assert (found["agreeing"], found["disagreeing"], found["not_judgeable"]) == (len(filtered), 0, 0)
    with sqlite3.connect(path) as db:
        (vote,) = db.execute("SELECT vote FROM streams").fetchone()
    header = json.loads(vote)
    assert (header["filter"], header["expected_duration_s"], header["segment_weight"]) == ("hmm", 60.0, 0.5)


def test_the_filter_of_the_header_is_the_one_that_is_followed(tmp_path, filtering, filtered, capsys):
    path = recorded(tmp_path, replace(filtering, vote=replace(filtering.vote, filter="none")), filtered)
    assert replayed(capsys, path, 1)[0]["disagreeing"] > 0


def test_a_header_without_a_filter_is_replayed_without_one(tmp_path, pipeline, results, capsys):
    path = recorded(tmp_path, pipeline, results)
    with sqlite3.connect(path) as db:
        (vote,) = db.execute("SELECT vote FROM streams").fetchone()
        new = {"filter", "expected_duration_s", "segment_weight"}
        old = {key: value for key, value in json.loads(vote).items() if key not in new}
        assert len(old) == len(json.loads(vote)) - len(new)
        db.execute("UPDATE streams SET vote = ?", (json.dumps(old),))
    assert replayed(capsys, path)[-1]["agreeing"] == len(results)


def test_filtered_verdicts_in_mid_stream_are_judged_once_the_filter_no_longer_depends_on_its_beginning(
    tmp_path, filtering, filtered, capsys
):
    first_silent = next(i for i, r in enumerate(filtered) if r.ballot.posterior is None)
    path = recorded(tmp_path, filtering, filtered, rows=len(filtered) - 1)
    (found,) = replayed(capsys, path)
    assert found["disagreeing"] == 0
    assert 2 < found["not_judgeable"] <= first_silent + 1  # silence at the latest determines the filter
    assert found["agreeing"] == len(filtered) - 1 - found["not_judgeable"]


def test_wherever_a_filtered_recording_starts_nothing_disagrees(filtering, filtered):
    of = replace(stream(), labels=filtering.manifest.labels, vote=filtering.vote)
    of = replace(of, segment_samples=filtering.manifest.front_end.segment_samples)
    segments = [
        RecordedSegment(
            start=result.start,
            end=result.end,
            sample_rate=RATE,
            lost=result.lost,
            label=result.ballot.label,
            posterior=None if result.ballot.posterior is None else result.ballot.posterior.tobytes(),
            verdict=json.loads(json.dumps(verdict_fields(result.verdict))),
        )
        for result in filtered
    ]
    assert answers(of, segments) == [True] * len(segments)
    silent = [segment.label for segment in segments].index(SILENCE)
    for begin in range(1, len(segments)):
        found = answers(of, segments[begin:])
        assert "no" not in found
        assert begin > silent or found[-1] is True  # silence determines the state of the filter


def test_a_filter_of_unknown_beginning_is_the_same_for_every_mixture_of_states(filtering, filtered):
    """Followed from any state, the filter is where it is followed from all, once these agree."""
    vote, n_labels = filtering.vote, len(filtering.manifest.labels)
    rng = np.random.default_rng(5)
    posteriors = list(rng.dirichlet(np.full(n_labels, 0.2), 400).astype(np.float32))
    starts = [vote.segment_hop * (1 + i) for i in range(len(posteriors))]
    mixtures = [*np.eye(n_labels + 1), *rng.dirichlet(np.ones(n_labels + 1), 5)]
    chain = LabelChain(vote, n_labels, RATE)
    filters = [ForwardFilter(chain, state=state, start=0) for state in mixtures]
    spread = [
        (np.ptp(states[: n_labels + 1], axis=0).max(), np.ptp(states, axis=0).max())
        for states in (
            np.stack([one.update(posterior, start) for one in filters])
            for posterior, start in zip(posteriors, starts, strict=True)
        )
    ]
    assert all(pure == pytest.approx(every, abs=1e-12) for pure, every in spread)
    assert spread[0][0] > 0.1
    assert spread[-1][0] < 1e-12


def test_the_smoothers_verdicts_are_derived_too(tmp_path, filtering, filtered, capsys):
    path, n = recorded(tmp_path, filtering, filtered, lag_s=15.0, stalls=(5, 20)), len(filtered)
    (found,) = replayed(capsys, path)
    assert (found["agreeing"], found["past"], found["past_disagreeing"]) == (n, n, 0)
    with sqlite3.connect(path) as db:
        kept = [json.loads(text)["past"] for (text,) in db.execute("SELECT verdict FROM segments ORDER BY segment")]
    assert [one["until"] for one in kept[1:6]] == [filtered[5].end] * 5  # decided when the source stalled
    assert main(["replay", str(path)]) == 0
    assert f"{n} of the history, {n} agree" in capsys.readouterr().out


def test_the_smoothers_verdicts_of_a_recording_from_mid_stream_are_derived_where_the_filter_is_known(
    tmp_path, filtering, filtered, capsys
):
    (found,) = replayed(capsys, recorded(tmp_path, filtering, filtered, rows=len(filtered) - 1, lag_s=15.0))
    assert 0 < found["past"] < len(filtered) - 1
    assert (found["disagreeing"], found["past_disagreeing"]) == (0, 0)


@pytest.mark.parametrize(("key", "value"), [("genre", "polka"), ("share", 0.1), ("until", 7), ("until", "x")])
def test_a_changed_verdict_of_the_smoother_is_a_disagreement(tmp_path, filtering, filtered, capsys, key, value):
    path = recorded(tmp_path, filtering, filtered, lag_s=15.0)
    with sqlite3.connect(path) as db:
        fields = json.loads(db.execute("SELECT verdict FROM segments WHERE segment = 4").fetchone()[0])
        fields["past"][key] = value
        db.execute("UPDATE segments SET verdict = ? WHERE segment = 4", (json.dumps(fields),))
    (found,) = replayed(capsys, path, 1)
    assert (found["disagreeing"], found["past_disagreeing"]) == (0, 1)
    assert found["disagreements"][0]["recorded"]["past"][key] == value
    assert main(["replay", str(path)]) == 1
    assert "1 DISAGREE" in capsys.readouterr().out


def test_an_unknown_ballot_is_taken_as_recorded_and_the_verdict_follows_from_it():
    of = stream(unknown=True)
    segments = record(of, ["jazz", "jazz", UNKNOWN, UNKNOWN, UNKNOWN, "jazz"])
    assert [one.verdict["reason"] for one in segments][3:] == ["unknown", "unknown", "unknown"]
    assert answers(of, segments) == [True] * 6
    segments[4] = replace(segments[4], verdict={**segments[4].verdict, "reason": "majority", "genre": "jazz"})
    assert answers(of, segments)[4] == "no"


def test_no_ballot_is_unknown_where_the_vote_has_none_or_the_segment_is_no_music():
    segments = record(stream(), ["jazz", "jazz", UNKNOWN])
    assert answers(stream(), segments)[2] == "no"
    speech = record(stream(), ["not_music"] * 3)
    speech[1] = replace(speech[1], label=UNKNOWN)
    assert answers(stream(unknown=True), speech)[1] == "no"


def test_unknown_music_stays_unknown_in_the_smoothers_verdicts(tmp_path, filtering, filtered, capsys):
    vote = replace(filtering.vote, unknown=True)
    far = [
        replace(result, ballot=counted(result.ballot, distance=9.0, far=i >= 10)) for i, result in enumerate(filtered)
    ]
    counting = MajorityVote(vote, filtering.manifest.labels)
    far = [replace(result, verdict=counting.add(result.ballot)) for result in far]
    (found,) = replayed(capsys, recorded(tmp_path, replace(filtering, vote=vote), far, lag_s=15.0))
    assert found["past_disagreeing"] == 0
    with sqlite3.connect(database_path(tmp_path, "box")) as db:
        kept = [json.loads(text)["past"]["reason"] for (text,) in db.execute("SELECT verdict FROM segments")]
    assert "unknown" in kept
