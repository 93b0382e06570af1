"""A run directory: the result of one training, enough to export from without the corpus.

RUN/run.json       recipe, data and seed, epochs done, metrics
RUN/split.json     clip name -> part, of the whole store
RUN/best.keras     weights of the best epoch on the validation part; absent without one
RUN/last.keras     weights and optimizer after the last finished epoch
RUN/average.keras  weights of the last epoch for evaluation (EMA, batch norm recalibrated), if the recipe has them
RUN/features.npz   log-mel of the held-out clips in dB, and representative training segments
RUN/history.csv    a line per epoch; RUN/curves.png draws it
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.decode import decode, read_json
from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEndConfig, PowerDb
from genrewatch_trainer.files import atomic_file, readable
from genrewatch_trainer.training.recipes import Recipe

VERSION = 1
RECORD, SPLIT, FEATURES = "run.json", "split.json", "features.npz"
BEST, LAST, AVERAGE = "best.keras", "last.keras", "average.keras"


@dataclass(frozen=True, kw_only=True)
class ExtraClipsRecord:
    """The entry of a further store whose clips were trained on too."""

    store: str
    store_sha256: str
    n_clips: int
    share: float
    """Crops drawn from it per crop of the first store."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The content of run.json. Field names are a format on disk."""

    version: int
    recipe: Recipe
    labels: tuple[str, ...]
    """In the order of the network's outputs."""
    store: str
    """Name of the feature store's folder."""
    store_sha256: str
    """Of the store's frames."""
    store_provenance: str
    split_scheme: str
    train_parts: tuple[str, ...]
    validation_part: str | None
    """The part that chose the best epoch; None: the last epoch is used."""
    seed: int
    also: tuple[ExtraClipsRecord, ...] = ()
    targets: tuple[str, ...] = ()
    """Folder and teacher of each target store."""
    targets_sha256: str = ""
    """Of the standardised targets."""
    started_from: str = ""
    """Folder of the run whose weights training began with."""
    epochs_done: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    """Of the libraries that trained it, the Keras backend and the number format."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Metrics of training and on the validation part, once all epochs are done."""


@dataclass(frozen=True, kw_only=True)
class HeldOutClip:
    """A clip that was not trained on."""

    name: str
    label: str
    part: str
    power_db: PowerDb
    """(n_frames, n_mels) float32, dB re 1.0, not yet scaled."""


class Run:
    """A run directory opened for reading."""

    def __init__(self, path: Path, record: RunRecord, split: dict[str, str]) -> None:
        self.path, self.record, self.split = path, record, split

    @classmethod
    def load(cls, path: Path) -> "Run":
        """Open and check the run in folder `path`; raises DataError."""
        if not (path / RECORD).is_file():
            raise DataError(str(path), f"holds no {RECORD}", "a run directory")
        record = decode(RunRecord, read_json(path / RECORD, error=DataError), where=str(path / RECORD), error=DataError)
        if record.version != VERSION:
            raise DataError(f"{path / RECORD}: version", f"found {record.version}", str(VERSION))
        split = read_json(path / SPLIT, error=DataError)
        if not isinstance(split, dict):
            raise DataError(str(path / SPLIT), "is not a table", "clip name to part")
        return cls(path, record, split)

    @property
    def recipe(self) -> Recipe:
        """The recipe of network and training."""
        return self.record.recipe

    @property
    def front_end(self) -> FrontEndConfig:
        """The front end that computes the network's input."""
        return self.record.recipe.front_end

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the network's outputs."""
        return self.record.labels

    @property
    def weights(self) -> Path:
        """The file of the weights to use: the best epoch's, or without validation the last's; raises DataError."""
        path = self.path / (self._last if self.record.validation_part is None else BEST)
        if not path.is_file():
            raise DataError(str(self.path), "holds no weights yet", path.name)
        return path

    @property
    def weights_epoch(self) -> int:
        """The epoch of those weights, counted from 1; 0 while it is not known yet."""
        if self.record.validation_part is None:
            return self.record.epochs_done
        return int(self.record.metrics["valid"]["best_epoch"]) if self.finished else 0

    @property
    def finished(self) -> bool:
        """True once all epochs of the recipe are done and the metrics written."""
        return self.record.epochs_done >= self.recipe.all_epochs and bool(self.record.metrics)

    def trained_on(self, names: Iterable[str]) -> int:
        """Count the clips of these names that the network was trained on."""
        return sum(self.split.get(name) in self.record.train_parts for name in names)

    def model(self, *, last: bool = False) -> Any:
        """Load the model (n, segment_frames, n_mels, 1) -> logits (n, n_labels), with `weights` or the last epoch's."""
        import keras

        from genrewatch_trainer.training.hardware import in_float32
        from genrewatch_trainer.training.network import logits_of

        path = self.path / self._last if last else self.weights
        with readable(path):
            return in_float32(logits_of(keras.models.load_model(path, compile=False)))

    def whole_model(self) -> Any:
        """Load the Keras model after its last epoch with all its outputs, averaged if the recipe does so."""
        import keras

        with readable(self.path / self._last):
            return keras.models.load_model(self.path / self._last, compile=False)

    @property
    def _last(self) -> str:
        return AVERAGE if self.recipe.evaluates_other_weights else LAST

    def representative(self) -> NDArray[np.float32]:
        """Return (n, segment_frames, n_mels) in [0, 1]: random training segments, to set quantization ranges."""
        return self._features["representative"]

    def held_out(self, part: str) -> list[HeldOutClip]:
        """Return the clips of a part that was not trained on; raises DataError where there are none."""
        features = self._features
        ends = np.cumsum(features["n_frames"])
        rows = zip(features["name"], features["label"], features["part"], ends, features["n_frames"], strict=True)
        found = [
            HeldOutClip(name=str(n), label=str(lb), part=str(p), power_db=features["power_db"][end - length : end])
            for n, lb, p, end, length in rows
            if p == part
        ]
        if not found:
            parts = sorted({str(p) for p in features["part"]})
            raise DataError(f"{self.path}: part", f"found {part}", "one held out: " + ", ".join(parts))
        return found

    @cached_property
    def _features(self) -> dict[str, NDArray[Any]]:
        path = self.path / FEATURES
        with readable(path), np.load(path, allow_pickle=False) as archive:
            found = {key: archive[key] for key in ("name", "label", "part", "n_frames", "power_db", "representative")}
        if len(found["power_db"]) != found["n_frames"].sum() or len(found["name"]) != len(found["n_frames"]):
            raise DataError(str(path), "frames and clips do not match")
        return found


def write_features(path: Path, held_out: list[HeldOutClip], representative: NDArray[np.float32]) -> None:
    """Write features.npz into the run in folder `path`."""
    n_mels = representative.shape[2]
    with atomic_file(path / FEATURES) as partial:
        np.savez_compressed(
            partial,
            name=np.array([clip.name for clip in held_out], np.str_),
            label=np.array([clip.label for clip in held_out], np.str_),
            part=np.array([clip.part for clip in held_out], np.str_),
            n_frames=np.array([len(clip.power_db) for clip in held_out], np.int64),
            power_db=np.concatenate([np.empty((0, n_mels), np.float32), *(clip.power_db for clip in held_out)]),
            representative=representative,
        )
