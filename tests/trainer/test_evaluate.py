import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import genrewatch
from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.errors import ConfigError
from genrewatch.contract.filter import LabelChain, smoothed_states
from genrewatch.contract.front_end import FrontEnd
from genrewatch.contract.vote import VoteConfig
from genrewatch.inference.classifier import Classifier
from genrewatch_trainer.cli import main
from genrewatch_trainer.data.store import Store, new_store
from genrewatch_trainer.evaluation.evaluate import evaluate
from genrewatch_trainer.evaluation.metrics import (
    calibration_error,
    clip_metrics,
    confusion,
    genre_report,
    mean_top1,
    vote_posteriors,
    vote_top1,
)
from genrewatch_trainer.run import Run


def clip(*top1: tuple[int, float]) -> np.ndarray:
    """Segments (chosen label, its probability); the rest is shared by the two other labels."""
    rows = [[p if k == label else (1 - p) / 2 for k in range(3)] for label, p in top1]
    return np.array(rows, np.float32)


RIGHT = clip((0, 0.8), (0, 0.8), (1, 0.8))
TIED = clip((1, 0.9), (1, 0.9), (2, 0.5), (2, 0.5))  # 1 by mean posterior, refused by vote
WRONG = clip((0, 0.6), (0, 0.6), (0, 0.6))
POSTERIORS, LABELS = [RIGHT, TIED, WRONG], [0, 1, 2]


def test_a_refusal_is_an_error_of_the_vote_and_is_left_out_of_the_covered() -> None:
    figures = clip_metrics(POSTERIORS, LABELS)
    assert mean_top1(POSTERIORS).tolist() == [0, 1, 0]
    assert vote_top1(POSTERIORS).tolist() == [0, -1, 0]
    assert (figures["n_clips"], figures["n_segments"], figures["refused"]) == (3, 10, 1)
    assert figures["segment_accuracy"] == pytest.approx(4 / 10)
    assert figures["clip_accuracy_mean"] == pytest.approx(2 / 3)
    assert figures["clip_accuracy_vote"] == pytest.approx(1 / 3)
    assert figures["coverage"] == pytest.approx(2 / 3)
    assert figures["accuracy_on_covered"] == pytest.approx(1 / 2)


def test_likelihood_and_calibration_are_those_of_the_definition() -> None:
    figures = clip_metrics(POSTERIORS, LABELS)
    given = [0.8, 0.8, 0.1, 0.9, 0.9, 0.25, 0.25, 0.2, 0.2, 0.2]
    assert figures["segment_nll"] == pytest.approx(-np.log(given).mean(), rel=1e-5)
    sure = np.tile(np.array([[0.75, 0.25]], np.float32), (4, 1))
    assert calibration_error(sure, np.array([0, 0, 0, 1])) == pytest.approx(0)
    assert calibration_error(sure, np.array([1, 1, 1, 1])) == pytest.approx(0.75)


def test_when_everything_is_refused_there_is_no_accuracy_to_boast_of() -> None:
    figures = clip_metrics([TIED], [1])
    assert (figures["coverage"], figures["accuracy_on_covered"], figures["clip_accuracy_vote"]) == (0, 0, 0)


def test_confusion_counts_refusals_in_a_column_of_their_own() -> None:
    table = confusion(LABELS, vote_top1(POSTERIORS).tolist(), 3)
    assert table.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]


def test_a_genre_report_takes_a_refusal_as_a_miss() -> None:
    report = genre_report(LABELS, vote_top1(POSTERIORS).tolist(), ("a", "b", "c"))
    assert report["a"] == {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1.0}
    assert report["b"]["recall"] == 0
    assert report["mean"]["recall"] == pytest.approx(1 / 3)
    assert report["mean"]["support"] == 3


def test_evaluate_writes_matrices_and_prints_json(
    trained: tuple[Store, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, run = trained[0], trained[1].path
    assert main(["evaluate", str(run), "--json", "-o", str(tmp_path / "report")]) == 0
    own = json.loads(capsys.readouterr().out)
    assert (own["split"], own["kind"], own["metrics"]["n_clips"], own["trained_on"]) == ("fixed:test", "run", 10, 0)
    with open(tmp_path / "report" / "confusion_vote.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["label", "high", "low", "refused"]
    assert sum(int(row[key]) for row in rows for key in ("high", "low", "refused")) == 10
    assert (tmp_path / "report" / "confusion_mean.png").read_bytes().startswith(b"\x89PNG")

    assert main(["evaluate", str(run), "--json", "--store", str(store.path), "--split", "fixed:test"]) == 0
    from_store = json.loads(capsys.readouterr().out)
    assert from_store["metrics"] == pytest.approx(own["metrics"])
    assert main(["evaluate", str(run), "--store", str(store.path), "--split", "fixed:train"]) == 0
    assert "WARNING: the model was trained on 20 of these clips" in capsys.readouterr().out


def test_a_bundle_is_evaluated_through_the_devices_own_classifier(tmp_path: Path, rng: np.random.Generator) -> None:
    path = Path(genrewatch.__file__).parent / "bundles" / "gtzan-compact"
    bundle = load_bundle(path)
    front_end, hop = bundle.manifest.front_end, bundle.manifest.vote.segment_hop // bundle.manifest.front_end.hop_length
    clips = [rng.normal(-40, 10, (front_end.segment_frames + hop * i, 128)).astype(np.float32) for i in range(4)]
    names = {f"clip.{i}": bundle.manifest.labels[i] for i in range(4)}
    with new_store(tmp_path / "store", front_end, provenance="", splits={"all": dict.fromkeys(names, "new")}) as writer:
        for clip, (name, label) in zip(clips, names.items(), strict=True):
            writer.add(clip, name=name, label=label)

    figures = evaluate(path, store=tmp_path / "store", split=("all", "new"))
    classifier, scale = Classifier.of(bundle), FrontEnd(front_end).scale
    first = [int(classifier.posterior(scale(clip[: front_end.segment_frames])).argmax()) for clip in clips]
    assert (figures.kind, figures.metrics["n_clips"], figures.metrics["n_segments"]) == ("bundle", 4, 1 + 2 + 3 + 4)
    assert figures.clips[0].mean == figures.clips[0].vote == bundle.manifest.labels[first[0]]


def test_a_bundle_holds_no_clips_of_its_own() -> None:
    path = Path(genrewatch.__file__).parent / "bundles" / "gtzan-compact"
    with pytest.raises(ConfigError, match="--store: is missing"):
        evaluate(path, store=None, split=("all", "new"))


HMM = VoteConfig(segment_hop=100, filter="hmm", expected_duration_s=30.0, segment_weight=0.5)


def test_the_votes_of_a_filter_are_cast_by_smoothed_posteriors() -> None:
    filtered = vote_posteriors([RIGHT, TIED], HMM, hop=100, sample_rate=1000)
    chain = LabelChain(HMM, 3, 1000)
    expected = smoothed_states(list(TIED), [0, 100, 200, 300], chain)[:, :-1]
    np.testing.assert_allclose(filtered[1], expected, rtol=1e-6)
    assert vote_top1([TIED]).tolist() == [-1]
    assert vote_top1(filtered).tolist() == [0, 1]  # nothing is refused
    own = vote_posteriors(POSTERIORS, replace(HMM, filter="none"), hop=100, sample_rate=1000)
    assert all(mine is theirs for mine, theirs in zip(own, POSTERIORS, strict=True))


def test_a_filter_changes_votes_and_confidence_and_not_segments_and_mean() -> None:
    plain = clip_metrics(POSTERIORS, LABELS)
    filtered = clip_metrics(POSTERIORS, LABELS, filtered=vote_posteriors(POSTERIORS, HMM, hop=100, sample_rate=1000))
    assert (filtered["refused"], filtered["clip_accuracy_vote"]) == (0, pytest.approx(2 / 3))
    for key in ("segment_accuracy", "segment_nll", "segment_ece", "clip_accuracy_mean"):
        assert filtered[key] == plain[key]
