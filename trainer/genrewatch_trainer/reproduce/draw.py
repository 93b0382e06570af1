"""The figures of a report: from a clip of sound, from the store, and from all outcomes of a split together."""

from collections.abc import Sequence
from pathlib import Path

from genrewatch.audio.decoding import read_samples
from genrewatch.contract.front_end import PAPER, PowerDb, Samples
from genrewatch.programme import SAMPLE_RATE, item
from genrewatch_trainer.data.prepare import clip_names
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.evaluation.metrics import confusion, vote_top1
from genrewatch_trainer.evaluation.report import draw_confusion
from genrewatch_trainer.reproduce import figures
from genrewatch_trainer.reproduce.measures import Roc, reliability, risk_coverage, roc_of
from genrewatch_trainer.reproduce.outcomes import Outcome, together
from genrewatch_trainer.reproduce.plan import PlannedFit
from genrewatch_trainer.reproduce.summary import Rounds, duration_accuracies
from genrewatch_trainer.training.epoch_log import read_history

SHORT = {"random": "random split", "fault_filtered": "fault-filtered", "artist": "artist-filtered folds"}
DEMO_ITEM = "swing"


def draw_all(store: Store, done: Sequence[PlannedFit], rounds: Rounds, report: Path, audio: Path | None) -> None:
    """Draw the figures whose outcomes are there into the folder `report`."""
    samples, sample_rate, name = _sound(audio)
    figures.draw_sound(report / "sound.png", samples, sample_rate, name)
    figures.draw_spectrograms(report / "mel_spectrograms.png", _one_a_genre(store), store.index.front_end)
    if curve := next((e for key in ("curves", "random") for e in done if e.key == key), None):
        title = f"{SHORT.get(curve.key, SHORT['fault_filtered'])}, trained on {', '.join(curve.train_parts)}"
        figures.draw_curves(report / "curves.png", read_history(report / "runs" / curve.name), title)
    for key, title in SHORT.items():
        if key in rounds:
            _draw_confusion(report / f"confusion_{key}.png", together(rounds[key]), f"{title}, by majority vote")
    compared = {key: together(rounds[key]) for key in ("random", "fault_filtered") if key in rounds}
    if compared:
        _draw_confidence(report, {SHORT[key]: outcome for key, outcome in compared.items()})
        recipes = {e.key: e.recipe for e in done}
        by_duration = {SHORT[key]: duration_accuracies(rounds[key], recipes[key]) for key in compared}
        figures.draw_seconds(report / "seconds_heard.png", by_duration)


def _sound(audio: Path | None) -> tuple[Samples, int, str]:
    if audio is None:
        return item(DEMO_ITEM), SAMPLE_RATE, f"demo programme: {DEMO_ITEM}"
    path, name = next(iter(clip_names(audio).items()))
    return read_samples(path, PAPER.sample_rate), PAPER.sample_rate, name


def _one_a_genre(store: Store) -> dict[str, PowerDb]:
    """Return the first clip of each label by its name, (n_frames, n_mels) dB."""
    clips = store.index.clips
    first = {label: next(i for i, clip in enumerate(clips) if clip.label == label) for label in store.index.labels}
    return {clips[i].name: store.clip(i) for i in first.values()}


def _draw_confusion(path: Path, outcome: Outcome, title: str) -> None:
    table = confusion(outcome.truth.tolist(), vote_top1(outcome.posteriors).tolist(), len(outcome.labels))
    draw_confusion(path, table, outcome.labels, title)


def _draw_confidence(report: Path, outcomes: dict[str, Outcome]) -> None:
    right = {title: o.clip_posterior.argmax(axis=1) == o.truth for title, o in outcomes.items()}
    votes = {title: (o.metrics["coverage"], 1 - o.metrics["accuracy_on_covered"]) for title, o in outcomes.items()}
    risks = {title: risk_coverage(o.clip_posterior.max(axis=1), right[title]) for title, o in outcomes.items()}
    figures.draw_roc(report / "roc.png", {title: _rocs(o) for title, o in outcomes.items()})
    figures.draw_risk(report / "risk_coverage.png", risks, votes)
    segments = {title: reliability(*o.segments) for title, o in outcomes.items()}
    figures.draw_reliability(report / "reliability.png", segments)


def _rocs(outcome: Outcome) -> dict[str, Roc]:
    found = {label: roc_of(outcome.clip_posterior, outcome.truth, i) for i, label in enumerate(outcome.labels)}
    return {label: roc for label, roc in found.items() if roc}
