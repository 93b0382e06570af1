"""A body taught again on a few crops with degraded copies: same form, nearer to its clean features, values learned."""

from pathlib import Path

import numpy as np
import pytest

from genrewatch.contract.bundle import load_bundle
from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.head import body_of, read_head
from genrewatch_trainer.cli import main
from genrewatch_trainer.data.store import new_store
from genrewatch_trainer.distillation.crops import CropChanges
from genrewatch_trainer.distillation.targets import Targets, chunk_path
from genrewatch_trainer.distillation.teach import index_of
from genrewatch_trainer.files import write_json

BUNDLE = load_bundle(SHIPPED_BUNDLE)
FRONT_END = BUNDLE.manifest.front_end
N_CROPS, N_COPIES = 48, 2


def sounds(n: int, rng: np.random.Generator) -> np.ndarray:
    """Make log-mel of `n` sounds with random loud bands."""
    power_db = rng.normal(-60, 3, (n, FRONT_END.segment_frames, FRONT_END.n_mels)).astype(np.float32)
    for each in power_db:
        start, width = rng.integers(100), rng.integers(8, 28)
        each[:: rng.integers(1, 6), start : start + width] += 50
    return power_db


@pytest.fixture
def targets(tmp_path: Path, rng: np.random.Generator) -> Path:
    index = index_of([], "a table", FRONT_END, CropChanges(), n_crops=N_CROPS, seed=0, n_degraded=N_COPIES)
    path = tmp_path / "targets"
    path.mkdir()
    write_json(path / "targets.json", index)
    power_db = sounds(N_CROPS, rng)
    degraded = np.repeat(power_db[:, None], N_COPIES, axis=1)
    degraded[..., 64:] = -100
    target = np.stack([power_db[..., :64].mean(axis=(1, 2)), power_db.std(axis=(1, 2))], axis=1).astype(np.float32)
    np.savez(chunk_path(path, 0), power_db=power_db.astype("f2"), degraded=degraded.astype("f2"), target=target)
    return path


@pytest.mark.slow
def test_a_body_learns_its_own_features_from_degraded_copies(
    targets: Path, tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "clips"
    with new_store(store, FRONT_END, provenance="made by a test", splits={"fixed": {"rock.0": "train"}}) as writer:
        for i in range(2):
            writer.add(np.concatenate(sounds(2, rng)), name=f"rock.{i}", label="rock")
    output = tmp_path / "new"
    arguments = ["reteach", str(SHIPPED_BUNDLE), str(targets), "--clips", str(store), "--split", "fixed"]
    assert main([*arguments, "--steps", "60", "--batch", "16", "-o", str(output)]) == 0
    before, after, _ = capsys.readouterr().out.splitlines()
    assert "own features 100.0%" in before
    assert float(after.split("copies ")[1].split("%")[0]) > float(before.split("copies ")[1].split("%")[0]) + 10
    new = load_bundle(output)
    assert len(new.model) == len(BUNDLE.model)
    assert np.array_equal(read_head(new.model).weights, read_head(BUNDLE.model).weights)
    assert new.manifest.provenance["reteach"]["crops"] == {"targets": N_CROPS}
    assert not new.manifest.thresholds


@pytest.mark.slow
def test_the_rebuilt_network_has_the_features_of_the_model() -> None:
    from genrewatch_trainer.adaptation.body import read_layers
    from genrewatch_trainer.adaptation.reteach import network

    log_mel = BUNDLE.golden.log_mel[None]
    model = network(read_layers(BUNDLE.model), FRONT_END.segment_frames, FRONT_END.n_mels)
    found = np.asarray(model.predict_on_batch(log_mel[..., None]))
    body = Classifier(body_of(BUNDLE.model))
    wanted = np.stack([body.logits(segment) for segment in log_mel])
    assert np.abs(found - wanted).mean() < 0.03 * wanted.std()  # the rounding of int8


def test_copies_are_read_back(targets: Path) -> None:
    store = Targets.load(targets)
    assert store.degraded().shape == (N_CROPS, N_COPIES, FRONT_END.segment_frames, FRONT_END.n_mels)
    assert (store.degraded()[..., 64:] == -100).all()
