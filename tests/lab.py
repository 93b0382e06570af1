"""Small synthetic data, recipes and runs for the tests of trainer and exporter."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from genrewatch.contract.front_end import FrontEndConfig, PowerDb
from genrewatch_trainer.data.store import Store, new_store
from genrewatch_trainer.distillation.crops import CropChanges
from genrewatch_trainer.distillation.targets import INDEX, VERSION, TargetIndex, Targets, chunk_path
from genrewatch_trainer.files import write_json
from genrewatch_trainer.training.experiment import Experiment
from genrewatch_trainer.training.recipes import ConvBlock, Recipe

TINY = FrontEndConfig(sample_rate=8000, n_fft=64, hop_length=64, n_mels=8, fmin=0, fmax=4000, segment_frames=16)
TINY_RECIPE = Recipe(
    name="tiny",
    front_end=TINY,
    segment_hop_frames=8,
    blocks=(ConvBlock(filters=4),),
    head="flatten",
    batch_norm=True,
    learning_rate=0.02,
    batch=8,
    epochs=6,
)
DISTILLED = replace(
    TINY_RECIPE,
    steps_per_epoch=5,
    teach_epochs=4,
    epochs=3,
    teach_learning_rate=0.03,
    taught_percent=50,
    schedule="cosine",
    settle_batches=2,
    average_momentum=0.8,
)
"""Both stages of training, EMA and batch-norm recalibration."""


def low_or_high(rng: np.random.Generator, label: str, n_frames: int, front_end: FrontEndConfig) -> PowerDb:
    """Draw a clip whose energy lies in the lower or upper half of the bands."""
    power_db = rng.uniform(-70, -50, (n_frames, front_end.n_mels)).astype(np.float32)
    half = front_end.n_mels // 2
    power_db[:, slice(0, half) if label == "low" else slice(half, None)] += 50
    return power_db


def write_store(path: Path, front_end: FrontEndConfig = TINY) -> Store:
    """Write a store of 20 clips a label: 10 for training, 5 for validation, 5 for test."""
    rng, labels = np.random.default_rng(20260102), ("low", "high")
    parts = ["train"] * 10 + ["valid"] * 5 + ["test"] * 5
    schemes = {"fixed": {f"{label}.{i:02}": part for label in labels for i, part in enumerate(parts)}}
    with new_store(path, front_end, provenance="synthetic", splits=schemes) as writer:
        for label in labels:
            for i in range(len(parts)):
                clip = low_or_high(rng, label, front_end.segment_frames * 2 + i, front_end)
                writer.add(clip, name=f"{label}.{i:02}", label=label)
    return Store.load(path)


def write_talk(path: Path) -> Store:
    """Write a store of a third label, `not_music`: 4 clips for training, 2 for test."""
    split = {f"talk.{i}": "train" if i < 4 else "test" for i in range(6)}
    with new_store(path, TINY, provenance="synthetic", splits={"fixed": split}) as writer:
        for name in split:
            writer.add(np.full((20, 8), -20, np.float32), name=name, label="not_music")
    return Store.load(path)


def write_targets(
    path: Path, n_crops: int = 60, *, seed: int = 0, drawn: int = 7, values: tuple[float, ...] = (5.0,)
) -> Targets:
    """Write crops of low and high sound; the first target value names the kind, `values` are the same for all."""
    rng = np.random.default_rng(drawn)
    labels = ["low" if i % 2 else "high" for i in range(n_crops)]
    crops = [low_or_high(rng, label, TINY.segment_frames, TINY) for label in labels]
    target = np.array([[float(label == "low"), *values] for label in labels], np.float32)
    index = TargetIndex(
        version=VERSION,
        front_end=TINY,
        teacher="a table",
        songs=("a/b.wav",),
        changes=CropChanges(),
        n_crops=n_crops,
        crops_per_chunk=60,
        seed=seed,
    )
    path.mkdir(parents=True)
    write_json(path / INDEX, index)
    np.savez(chunk_path(path, 0), power_db=np.stack(crops).astype(np.float16), target=target)
    return Targets.load(path)


def experiment(store: Store, recipe: Recipe = TINY_RECIPE, **changes: Any) -> Experiment:
    """Return an experiment on part `train` of the split `fixed` with seed 0, or with `changes`."""
    settings: dict[str, Any] = {"scheme": "fixed", "train_parts": ("train",), "seed": 0}
    return Experiment(store=store, recipe=recipe, **(settings | changes))
