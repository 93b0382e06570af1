"""A run directory: everything that came of one training, enough to export from without the corpus.

RUN/run.json       what was trained and how, epochs done, figures
RUN/split.json     clip name -> part, of the whole store
RUN/best.keras     weights of the best epoch on the validation part; absent where there was none
RUN/last.keras     weights and optimizer after the last finished epoch
RUN/average.keras  the network to be used as it is there: averaged and settled, if the recipe says so
RUN/features.npz   held-out clips before scaling, and representative training segments
RUN/history.csv    a line an epoch; RUN/curves.png draws it
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
from genrewatch_trainer.files import readable, whole_file
from genrewatch_trainer.training.recipes import Recipe

VERSION = 1
RECORD, SPLIT, FEATURES = "run.json", "split.json", "features.npz"
BEST, LAST, AVERAGE = "best.keras", "last.keras", "average.keras"


@dataclass(frozen=True, kw_only=True)
class MoreClips:
    """Labelled clips of another store that were trained on too."""

    store: str
    store_sha256: str
    n_clips: int
    share: float
    """Crops drawn from it for each crop of the first store."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What run.json says."""

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
    """The part that chose the best epoch; None: no part did, the last epoch counts."""
    seed: int
    also: tuple[MoreClips, ...] = ()
    targets: tuple[str, ...] = ()
    """Folder and teacher of each target store."""
    targets_sha256: str = ""
    """Of the targets."""
    started_from: str = ""
    """Folder of the run whose weights it began with."""
    epochs_done: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    """Of the libraries that trained it."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Figures on the validation part, once all epochs are done."""


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
        """Opens and checks the run in folder `path`; raises DataError."""
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
        """How the network was made."""
        return self.record.recipe

    @property
    def front_end(self) -> FrontEndConfig:
        """What the network's input is computed with."""
        return self.record.recipe.front_end

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the network's outputs."""
        return self.record.labels

    @property
    def weights(self) -> Path:
        """The file of the weights that count: the best epoch's, or the last's where no part chose."""
        path = self.path / (self._last if self.record.validation_part is None else BEST)
        if not path.is_file():
            raise DataError(str(self.path), "holds no weights yet", path.name)
        return path

    @property
    def weights_epoch(self) -> int:
        """The epoch that those weights are of, counted from 1."""
        if self.record.validation_part is None:
            return self.record.epochs_done
        return int(self.record.metrics["valid"]["best_epoch"]) if self.finished else 0

    @property
    def finished(self) -> bool:
        """Whether all epochs of the recipe are done and the figures written."""
        return self.record.epochs_done >= self.recipe.all_epochs and bool(self.record.metrics)

    def trained_on(self, names: Iterable[str]) -> int:
        """How many of these clips the network was trained on."""
        return sum(self.split.get(name) in self.record.train_parts for name in names)

    def model(self, *, last: bool = False) -> Any:
        """The Keras model, with the weights that count or the last: (n, segment_frames, n_mels, 1) -> logits."""
        import keras

        from genrewatch_trainer.training.hardware import in_float32
        from genrewatch_trainer.training.network import logits_of

        path = self.path / self._last if last else self.weights
        with readable(path):
            return in_float32(logits_of(keras.models.load_model(path, compile=False)))

    def whole_model(self) -> Any:
        """The Keras model after its last epoch, averaged if the recipe says so, with all that it answers."""
        import keras

        with readable(self.path / self._last):
            return keras.models.load_model(self.path / self._last, compile=False)

    @property
    def _last(self) -> str:
        return AVERAGE if self.recipe.judges_others else LAST

    def representative(self) -> NDArray[np.float32]:
        """(n, segment_frames, n_mels) in [0, 1]: random crops of training clips, to set quantization ranges by."""
        return self._features["representative"]

    def held_out(self, part: str) -> list[HeldOutClip]:
        """The clips of a part that was not trained on; raises DataError where there are none."""
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
    """Writes features.npz into the run in folder `path`."""
    n_mels = representative.shape[2]
    with whole_file(path / FEATURES) as beside:
        np.savez_compressed(
            beside,
            name=np.array([clip.name for clip in held_out], np.str_),
            label=np.array([clip.label for clip in held_out], np.str_),
            part=np.array([clip.part for clip in held_out], np.str_),
            n_frames=np.array([len(clip.power_db) for clip in held_out], np.int64),
            power_db=np.concatenate([np.empty((0, n_mels), np.float32), *(clip.power_db for clip in held_out)]),
            representative=representative,
        )
