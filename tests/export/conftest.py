"""A run of a tiny network, its bundle, and conversions that are computed once."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from tests.lab import TINY

from genrewatch.contract.front_end import FrontEnd, PowerDb
from genrewatch_export import bundle as exporting
from genrewatch_export import selective
from genrewatch_export.cli import main
from genrewatch_trainer.files import write_json
from genrewatch_trainer.run import HeldOutClip, RunRecord, write_features
from genrewatch_trainer.training.recipes import ConvBlock, Recipe

RECIPE = Recipe(
    name="tiny", front_end=TINY, segment_hop_frames=8, blocks=(ConvBlock(filters=4),), head="flatten", epochs=1
)
LABELS = ("high", "low")
CONVERSIONS = {exporting: ("to_float", "to_dynamic", "to_int8"), selective: ("to_float", "_layers", "_leaving")}
"""Slow functions of the exporter, which give the same for the same run and layers."""


def clip(rng: np.random.Generator, label: str) -> PowerDb:
    power_db = rng.uniform(-70, -50, (40, 8)).astype(np.float32)
    power_db[:, slice(0, 4) if label == "low" else slice(4, 8)] += 40
    return power_db


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a tiny network trained to separate low from high, with held-out clips of both."""
    import keras

    from genrewatch_trainer.training.network import build

    path, rng = tmp_path_factory.mktemp("export") / "run", np.random.default_rng(7)
    path.mkdir()
    record = RunRecord(
        version=1, recipe=RECIPE, labels=LABELS, store="synthetic", store_sha256="0" * 64, store_provenance="made here",
        split_scheme="fixed", train_parts=("train",), validation_part="valid", seed=0, epochs_done=1,
        metrics={"valid": {"best_epoch": 1}},
    )  # fmt: skip
    write_json(path / "run.json", record)
    write_json(path / "split.json", {f"{part}{i}": part for part in ("train", "valid", "test") for i in range(8)})
    held_out = [
        HeldOutClip(name=f"{part}{i}", label=LABELS[i % 2], part=part, power_db=clip(rng, LABELS[i % 2]))
        for part in ("valid", "test")
        for i in range(8)
    ]
    segments = FrontEnd(TINY).scale(np.stack([clip(rng, LABELS[i % 2])[:16] for i in range(64)]))
    write_features(path, held_out, segments)
    keras.utils.set_random_seed(1)
    model = build(RECIPE, 2)
    model.compile(keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(segments[..., None], np.arange(64) % 2, epochs=15, verbose=0)
    model.save(path / "best.keras")
    return path


@pytest.fixture(scope="session", autouse=True)
def _converted_once() -> Iterator[None]:
    """Convert a network once a session, however many tests export it."""
    known: dict[tuple[object, ...], Any] = {}
    with pytest.MonkeyPatch.context() as patched:
        for module, names in CONVERSIONS.items():
            for name in names:
                patched.setattr(module, name, _remembered(getattr(module, name), known))
        yield


def _remembered(convert: Callable[..., Any], known: dict[tuple[object, ...], Any]) -> Callable[..., Any]:
    def converted(model: Any, run: Any, *layers: list[str]) -> Any:
        key = (convert.__name__, run.path, *map(tuple, layers))
        if key not in known:
            known[key] = convert(model, run, *layers)
        return known[key]

    return converted


@pytest.fixture(scope="session")
def bundle(run: Path) -> Path:
    """The bundle of `run`; not to be written to."""
    output = run.parent / "tiny-bundle"
    assert main([str(run), "-o", str(output)]) == 0
    return output
