"""Copies of clips as they arrive in the field, and a head that learns them."""

import numpy as np
import pytest

from genrewatch.contract.front_end import COMPACT, mel_edges
from genrewatch_trainer.adaptation.balanced_fit import fit_balanced
from genrewatch_trainer.adaptation.clip_features import ClipFeatures
from genrewatch_trainer.adaptation.field import CHANGES, noisy, reverberant

CENTRES = mel_edges(COMPACT)[1:-1]


@pytest.fixture
def power_db() -> np.ndarray:
    return np.random.default_rng(3).uniform(-60, -20, (120, COMPACT.n_mels)).astype(np.float32)


@pytest.mark.parametrize("name", CHANGES)
def test_a_copy_has_the_shape_of_its_clip_and_is_repeatable(name: str, power_db: np.ndarray) -> None:
    found = [CHANGES[name](power_db, COMPACT, np.random.default_rng(1)) for _ in range(2)]
    assert found[0].shape == power_db.shape
    assert found[0].dtype == np.float32
    assert found[0].min() >= COMPACT.floor_db
    assert np.array_equal(*found)
    assert not np.array_equal(found[0], power_db)


@pytest.mark.parametrize(("name", "low", "high"), [("up to 8 kHz", 0, 8000), ("telephone", 300, 3400)])
def test_a_narrow_copy_has_nothing_outside_its_band(name: str, low: float, high: float, power_db: np.ndarray) -> None:
    found = CHANGES[name](power_db, COMPACT, np.random.default_rng(1))
    inside = (low <= CENTRES) & (high >= CENTRES)
    assert np.array_equal(found[:, inside], power_db[:, inside])
    assert (found[:, ~inside] == COMPACT.floor_db).all()


def test_noise_only_adds_power_and_a_room_fills_pauses(power_db: np.ndarray) -> None:
    assert (noisy(power_db, COMPACT, np.random.default_rng(1)) >= power_db - 1e-3).all()
    paused = np.array(power_db)
    paused[60:80] = COMPACT.floor_db
    assert (reverberant(paused, COMPACT, np.random.default_rng(1))[60:62] > COMPACT.floor_db + 20).all()


def test_a_head_learns_the_copies_too() -> None:
    rng = np.random.default_rng(5)
    labels = ("jazz", "rock", "talk")

    def clips(label: int) -> list[np.ndarray]:
        return [rng.normal(np.eye(6)[label], 0.1, (4, 6)).astype(np.float32) for _ in range(5)]

    def copies(label: int) -> list[np.ndarray]:
        return [rng.normal(np.eye(6)[3 + label], 0.1, (2, 6)).astype(np.float32) for _ in range(5)]

    names = tuple(f"{label}.{n}" for label in labels for n in range(5))
    main = ClipFeatures(
        collection="songs",
        names=names,
        labels=tuple(name.partition(".")[0] for name in names),
        groups=names,
        features=tuple(clip for label in range(3) for clip in clips(label)),
        field=tuple(clip for label in range(3) for clip in copies(label)),
    )
    truth = np.repeat(range(3), 10)
    heads = {weight: fit_balanced(main, (), labels, 1.0, weight) for weight in (0.0, 1.0)}
    right = {
        weight: float(np.mean((np.concatenate(main.field) @ head.weights.T + head.offsets).argmax(axis=1) == truth))
        for weight, head in heads.items()
    }
    assert right[1.0] == 1.0
    assert right[0.0] < 0.8
    kept = main.select([name.endswith("0") for name in names])
    assert len(kept.field) == len(kept) == 3
