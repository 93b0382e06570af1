"""Learning: the regression, its guard, the bundle it writes, and the choice among bundles."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.history.rig import NOON, spell

from genrewatch.audio.level import LevelConfig
from genrewatch.cli import main
from genrewatch.contract.bundle import Bundle, load_bundle
from genrewatch.contract.errors import DataError
from genrewatch.contract.ids import is_id
from genrewatch.contract.summary import FeatureSummary
from genrewatch.history.corrections import Correction, Corrections, corrections_path
from genrewatch.history.database import database_path
from genrewatch.history.feature_means import FeatureMeans
from genrewatch.history.feature_store import FeatureStore, features_path
from genrewatch.history.store import HistoryStore
from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch.inference.bundle_check import open_checked_pipeline
from genrewatch.inference.head import body_hash, read_head
from genrewatch.learning import refit
from genrewatch.learning.bundle_choice import BundleChoice
from genrewatch.learning.corrected_spells import CorrectedSpell, groups
from genrewatch.learning.refit import Figures, fit, matching_temperature, posteriors
from genrewatch.learning.regression import fit_head


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(SHIPPED_BUNDLE)


def summary_of(bundle: Bundle) -> FeatureSummary:
    assert bundle.summary is not None
    return bundle.summary


def corrected(label: str, vectors: np.ndarray, *, seq: int = 1, at_s: float = 0.0) -> CorrectedSpell:
    return CorrectedSpell(seq=seq, source="mic", label=label, start_ms=NOON + round(1000 * at_s), vectors=vectors)


def test_the_head_is_that_of_scikit_learn(rng) -> None:
    from sklearn.linear_model import LogisticRegression

    x = rng.normal(size=(60, 12)).astype(np.float32)
    y, weights = np.arange(60) % 3, rng.uniform(0.2, 2, 60)
    x[:, :3] += 2 * np.eye(3, dtype=np.float32)[y]
    head = fit_head(x, y, weights, 3, 0.5)
    mean = np.average(x, axis=0, weights=weights)
    deviation = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))
    theirs = LogisticRegression(C=0.5, max_iter=2000).fit((x - mean) / deviation, y, weights)
    assert posteriors(head, x) == pytest.approx(theirs.predict_proba((x - mean) / deviation), abs=2e-3)


def test_spells_of_one_stretch_are_held_out_together_and_days_where_there_are_enough() -> None:
    one = np.zeros((1, 2), np.float32)
    evening = [corrected(label, one, at_s=60.0 * n) for n, label in enumerate("jjrj")]
    evening.append(corrected("j", one, at_s=7200.0))
    found, what = groups(evening)
    assert (list(found), what) == ([1, 1, 2, 1, 3], "stretches")
    days = [corrected("j", one, at_s=86_400.0 * (n // 2)) for n in range(10)]
    found, what = groups(days)
    assert (list(found), what) == ([0, 0, 1, 1, 2, 2, 3, 3, 4, 4], "days")


FIGURES = Figures(spells=20, groups=9, held_out="days", before=0.1, after=0.5, summary_before=0.98, summary_after=0.96)


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [({}, None), ({"summary_after": 0.9}, "loses 8.0 points"), ({"after": 0.2}, "gains 10.0 points")],
)
def test_a_head_that_forgets_or_gains_too_little_is_refused(changed: dict, refusal: str | None) -> None:
    found = replace(FIGURES, **changed).refusal(5, 20)
    assert (found is None) if refusal is None else (refusal in str(found))


def test_a_correction_changes_the_answer_and_the_summary_stays(bundle: Bundle) -> None:
    summary, labels = summary_of(bundle), bundle.manifest.labels
    rock = summary.centres[summary.labels == labels.index("rock")]
    spells = [corrected("jazz", rock[n : n + 2], seq=n) for n in (1, 3, 5)]
    old, new = read_head(bundle.model), fit(summary, labels, spells)
    jazz = labels.index("jazz")
    assert posteriors(new, rock[1:7])[:, jazz].mean() > posteriors(old, rock[1:7])[:, jazz].mean() + 0.1
    temperature = matching_temperature(old, bundle.manifest.temperature, new, summary)
    before = posteriors(old, summary.centres, bundle.manifest.temperature).max(axis=1)
    after = posteriors(new, summary.centres, temperature).max(axis=1)
    weights = summary.shares
    assert np.average(after, weights=weights) == pytest.approx(np.average(before, weights=weights), abs=1e-3)


@pytest.fixture(autouse=True)
def few_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refit, "MOST_FOLDS", 3)


@pytest.fixture
def state(tmp_path: Path, bundle: Bundle, rng) -> Path:
    """A node with 12 spells of two kinds of music, all classified as rock, and corrections of them."""
    state, database = tmp_path / "state", database_path(tmp_path / "state", "box")
    store = HistoryStore(database, "box", deliver=False)
    (state / "box.lock").touch()
    n_features = summary_of(bundle).centres.shape[1]
    kinds = {label: rng.normal(0, 2, n_features) for label in ("jazz", "our jingle")}
    spells = []
    for n in range(12):
        made = spell("rock", start_s=3600.0 * n)
        made.context = replace(made.context, features=4, body=body_hash(bundle.model))
        made.features = FeatureMeans(4)
        for _ in range(4):
            noise = rng.normal(0, 0.3, n_features)
            made.features.add((list(kinds.values())[n % 2] + noise).astype(np.float32))
        spells.append(made)
    store.append(spells, [])
    FeatureStore(features_path(database), 10).add(1, spells)
    for n, made in enumerate(spells):
        fields = {**made.fields(), "seq": n + 1}
        Corrections(corrections_path(database)).add(Correction.of_spell(fields, list(kinds)[n % 2], "command"))
    store.close()
    return state


def test_learn_writes_a_bundle_beside_the_old_one_and_use_goes_back(state: Path, capsys) -> None:
    where = ["--state", str(state)]
    assert main(["learn", *where]) == 0
    printed = capsys.readouterr().out
    assert "12 corrected spells in 12 stretches: jazz 6, our jingle 6" in printed
    assert "0% right before, 100% after" in printed
    assert "back: genrewatch bundle use configured" in printed
    written = load_bundle(state / "bundles" / "learned-1").manifest
    assert (written.name, written.labels[-1]) == ("learned-1", "our jingle")
    learned = written.provenance["learn"]
    assert (learned["labels"], learned["corrections"][0]) == ({"jazz": 6, "our jingle": 6}, [1, "mic", "jazz"])
    assert BundleChoice(state, "box").read() == "learned-1"
    pipeline = open_checked_pipeline(state / "bundles" / "learned-1", lambda vote: vote, LevelConfig(), features=True)
    assert pipeline.body == body_hash(load_bundle(SHIPPED_BUNDLE).model)
    assert main(["bundle", "list", *where]) == 0
    assert "* learned-1" in capsys.readouterr().out
    assert main(["bundle", "use", "shipped", *where]) == 0
    assert "back: genrewatch bundle use learned-1" in capsys.readouterr().out
    assert main(["bundle", "show", *where]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "gtzan-compact"


def test_a_refused_head_changes_nothing(state: Path, capsys) -> None:
    text = corrections_path(database_path(state, "box")).read_text().splitlines()
    wrong = [json.loads(line) for line in text]
    names = [
        "blues",
        "metal",
        "pop",
        "disco",
        "reggae",
        "hiphop",
        "country",
        "classical",
        "jazz",
        "rock",
        "blues",
        "pop",
    ]
    for line, name in zip(wrong, names, strict=True):
        line["label"] = name
    lines = "".join(json.dumps(line) + "\n" for line in wrong)
    corrections_path(database_path(state, "box")).write_text(lines)
    before = sorted(path.name for path in state.rglob("*") if not path.name.endswith(("-wal", "-shm")))
    assert main(["learn", "--state", str(state)]) == 1
    printed = capsys.readouterr().out
    assert "refused, nothing is changed: it gains" in printed
    assert sorted(path.name for path in state.rglob("*") if not path.name.endswith(("-wal", "-shm"))) == before


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda state: features_path(database_path(state, "box")).unlink(), "no such file"),
        (lambda state: features_path(database_path(state, "box")).write_bytes(b"x" * 5000), "is damaged"),
        (lambda state: corrections_path(database_path(state, "box")).unlink(), "0 corrected spells"),
        (lambda state: database_path(state, "box").write_bytes(b"x" * 5000), "is damaged"),
        (lambda state: (state / "box.lock").unlink(), "no daemon has run"),
    ],
)
def test_what_is_broken_or_missing_is_one_line(state: Path, capsys, spoil, text: str) -> None:
    spoil(state)
    assert main(["learn", "--state", str(state)]) == 2
    printed = capsys.readouterr().err
    assert text in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize("name", ["nothing", "../x", "", "a b", "é", "x" * 300])
def test_a_bundle_that_is_none_cannot_be_used(state: Path, capsys, name: str) -> None:
    assert main(["bundle", "use", name, "--state", str(state)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not BundleChoice(state, "box").path.exists()


def test_a_broken_learned_bundle_is_listed_as_such_and_refused(state: Path, capsys) -> None:
    broken = state / "bundles" / "learned-3"
    broken.mkdir(parents=True)
    (broken / "bundle.json").write_text("[" * 10_000)
    assert main(["bundle", "list", "--state", str(state)]) == 0
    assert "learned-3      cannot be used" in capsys.readouterr().out
    assert main(["bundle", "use", "learned-3", "--state", str(state)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@settings(max_examples=30, deadline=None)
@given(content=st.binary(max_size=300))
def test_whatever_the_choice_holds_it_is_a_name_or_one_line(tmp_path_factory, content: bytes) -> None:
    choice = BundleChoice(tmp_path_factory.mktemp("c"), "box")
    choice.path.write_bytes(content)
    with suppress(DataError):
        assert is_id(choice.read())
    choice.write("learned-1")
    assert choice.read() == "learned-1"
