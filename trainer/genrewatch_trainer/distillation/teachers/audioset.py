"""Two AudioSet taggers as a teacher program: `python -m genrewatch_trainer.distillation.teachers.audioset FOLDER`.

The vector of a crop is ten genre scores of each tagger, 20 values: the greatest logit among the classes of a genre.

mn04    EfficientAT (Schmid, Koutini and Widmer, 2023), a MobileNetV3 of 0.4 width: FOLDER/audioset_mn04.onnx
YAMNet  int8 (Plakal and Ellis, 2020): FOLDER/audioset_yamnet.tflite

Beside each network lies the table of its classes, *_labels.csv, with columns index and display_name. The weights are
not shipped. mn04 needs the package onnxruntime.
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.audio.resample import Resampler
from genrewatch.contract.errors import ConfigError, os_error_reason
from genrewatch_trainer.distillation.teachers.program import Teacher, run_program

GENRES = {
    "blues": ("Blues",),
    "classical": ("Classical music", "Opera"),
    "country": ("Country", "Bluegrass"),
    "disco": ("Disco",),
    "hiphop": ("Hip hop music",),
    "jazz": ("Jazz", "Swing music"),
    "metal": ("Heavy metal",),
    "pop": ("Pop music",),
    "reggae": ("Reggae",),
    "rock": ("Rock music", "Rock and roll", "Punk rock", "Grunge", "Progressive rock", "Psychedelic rock"),
}
Vector = NDArray[np.float32]
MN04_RATE, MN04_BANDS, MN04_FFT, MN04_WINDOW, MN04_HOP, MN04_HIGHEST_HZ = 32_000, 128, 1024, 800, 320, 15_000.0
YAMNET_RATE = 16_000
LEAST_PROBABILITY = 1e-4


def genre_scores(logits: Vector, classes: dict[str, int]) -> Vector:
    """Return (10,): the greatest logit among the classes of each genre; `classes` maps names to positions."""
    positions = [[classes[name] for name in names if name in classes] for names in GENRES.values()]
    return np.array([max(logits[at]) for at in positions], np.float32)


def read_classes(path: Path) -> dict[str, int]:
    """Read display name -> index of a table of classes; raises ConfigError where a genre has none."""
    try:
        with open(path, encoding="utf-8", newline="") as lines:
            classes = {row["display_name"]: int(row["index"]) for row in csv.DictReader(lines)}
    except (OSError, KeyError, ValueError) as exc:
        why = os_error_reason(exc) if isinstance(exc, OSError) else "is not a table of index and display_name"
        raise ConfigError(str(path), why, "the classes of an AudioSet tagger") from None
    if missing := [genre for genre, names in GENRES.items() if not classes.keys() & set(names)]:
        raise ConfigError(str(path), f"holds no class of {missing[0]}", "the classes of an AudioSet tagger")
    return classes


def mn04_log_mel(samples: Vector) -> Vector:
    """Compute (n,) at 32 kHz -> (128, n_frames), as the network was trained: pre-emphasis, HTK mel, log, scaled."""
    samples = np.pad(samples[1:] - np.float32(0.97) * samples[:-1], MN04_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(samples, MN04_FFT)[::MN04_HOP] * _mn04_window()
    power = np.abs(np.fft.rfft(frames)) ** 2
    found: Vector = ((np.log(_mn04_filters() @ power.T + 1e-5) + 4.5) / 5).astype(np.float32)
    return found


def _mn04_window() -> Vector:
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(MN04_WINDOW) / (MN04_WINDOW - 1))
    window: Vector = np.pad(hann, (MN04_FFT - MN04_WINDOW) // 2).astype(np.float32)
    return window


def _mn04_filters() -> Vector:
    step = _mel(MN04_HIGHEST_HZ) / (MN04_BANDS + 1)
    left = np.arange(MN04_BANDS)[:, None] * step
    mel = _mel(MN04_RATE / MN04_FFT * np.arange(MN04_FFT // 2 + 1))[None]
    rising, falling = (mel - left) / step, (left + 2 * step - mel) / step
    filters: Vector = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    return filters


def _mel(hz: Any) -> Any:
    return 1127 * np.log(1 + hz / 700.0)


class Mn04:
    """The ONNX network: (n,) at 32 kHz -> logits (n_classes,)."""

    rate = MN04_RATE

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise ConfigError("mn04", "the package onnxruntime is not installed", "pip install onnxruntime") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options)

    def __call__(self, samples: Vector) -> Vector:
        """Compute the logits."""
        logits: Vector = self._session.run(None, {"mel": mn04_log_mel(samples)[None, None]})[0][0]
        return logits


class Yamnet:
    """The TFLite network: (n,) at 16 kHz -> logits (n_classes,), the mean over windows, half overlapping."""

    rate = YAMNET_RATE

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._network = Interpreter(str(path), num_threads=1)
        self._network.allocate_tensors()
        self._input, self._output = self._network.get_input_details()[0], self._network.get_output_details()[0]

    def __call__(self, samples: Vector) -> Vector:
        """Compute the logits."""
        size = int(np.prod(self._input["shape"]))
        samples = np.resize(samples, max(size, len(samples)))
        windows = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // 2]
        mean: Vector = np.mean([self._logits(window) for window in windows], axis=0).astype(np.float32)
        return mean

    def _logits(self, window: Vector) -> Vector:
        self._network.set_tensor(self._input["index"], window.reshape(self._input["shape"]))
        self._network.invoke()
        found = self._network.get_tensor(self._output["index"]).reshape(-1)
        probability = np.clip(found, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        logits: Vector = np.log(probability / (1 - probability))
        return logits


def main(arguments: Sequence[str]) -> int:
    """Run the program; see `run_program`."""

    def open_teacher(folder: Path) -> Teacher:
        taggers: list[tuple[Mn04 | Yamnet, dict[str, int]]] = [
            (Mn04(folder / "audioset_mn04.onnx"), read_classes(folder / "audioset_mn04_labels.csv")),
            (Yamnet(folder / "audioset_yamnet.tflite"), read_classes(folder / "audioset_yamnet_labels.csv")),
        ]

        def scores(samples: Vector, rate: int) -> Vector:
            return np.concatenate(
                [
                    genre_scores(tagger(Resampler(rate, tagger.rate).push(samples, last=True)), classes)
                    for tagger, classes in taggers
                ]
            )

        return scores

    return run_program("audioset", "FOLDER", arguments, open_teacher)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
