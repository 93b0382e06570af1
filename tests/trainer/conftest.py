"""Small synthetic corpora: audio with a broken file and a duplicate, and a store that two genres part trivially."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrewatch.contract.front_end import COMPACT, FrontEndConfig, PowerDb
from genrewatch_trainer.data.store import Store, new_store
from genrewatch_trainer.run import Run
from genrewatch_trainer.training.recipes import Block, Recipe

TINY = FrontEndConfig(sample_rate=8000, n_fft=64, hop_length=64, n_mels=8, fmin=0, fmax=4000, segment_frames=16)
TINY_RECIPE = Recipe(
    name="tiny",
    front_end=TINY,
    segment_hop_frames=8,
    blocks=(Block(filters=4),),
    head="flatten",
    batch_norm=True,
    learning_rate=0.02,
    batch=8,
    epochs=6,
)


def low_or_high(rng: np.random.Generator, label: str, n_frames: int, front_end: FrontEndConfig) -> PowerDb:
    """A clip whose energy lies in the lower or upper half of the bands."""
    power_db = rng.uniform(-70, -50, (n_frames, front_end.n_mels)).astype(np.float32)
    half = front_end.n_mels // 2
    power_db[:, slice(0, half) if label == "low" else slice(half, None)] += 50
    return power_db


def write_store(path: Path, front_end: FrontEndConfig = TINY) -> Store:
    """A store of 20 clips a label: 10 for training, 5 for validation, 5 for test."""
    rng, labels = np.random.default_rng(20260102), ("low", "high")
    parts = ["train"] * 10 + ["valid"] * 5 + ["test"] * 5
    schemes = {"fixed": {f"{label}.{i:02}": part for label in labels for i, part in enumerate(parts)}}
    with new_store(path, front_end, provenance="synthetic", splits=schemes) as writer:
        for label in labels:
            for i in range(len(parts)):
                clip = low_or_high(rng, label, front_end.segment_frames * 2 + i, front_end)
                writer.add(clip, name=f"{label}.{i:02}", label=label)
    return Store.load(path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return write_store(tmp_path / "store")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Run]:
    """A store and a run of the tiny recipe on its part `train`; not to be written to."""
    from genrewatch_trainer.training.fit import fit

    store = write_store(tmp_path_factory.mktemp("trained") / "store")
    run = fit(store, TINY_RECIPE, store.path.parent / "run", scheme="fixed", train_parts=("train",), seed=0)
    return store, run


@pytest.fixture
def corpus(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two genres: wav, flac, ogg, an exact duplicate in another format, a text file named .wav, one too short."""
    folder = tmp_path / "corpus"
    n_samples = COMPACT.segment_samples + 5 * COMPACT.hop_length
    time_s = np.arange(n_samples) / COMPACT.sample_rate

    def write(path: str, samples: np.ndarray) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, (samples * 32767).astype(np.int16), COMPACT.sample_rate)

    chord = 0.2 * np.sin(2 * np.pi * 440 * time_s) + 0.2 * np.sin(2 * np.pi * 660 * time_s)
    noise = 0.1 * rng.standard_normal(n_samples)
    write("tonal/tonal.0.wav", chord)
    write("tonal/tonal.1.flac", np.stack([chord, 0.5 * chord], axis=1))
    write("noisy/noisy.0.ogg", noise)
    write("noisy/noisy.1.wav", noise)
    write("noisy/noisy.2.flac", noise)
    write("noisy/short.wav", noise[: COMPACT.sample_rate])
    (folder / "noisy" / "broken.wav").write_text("this is no sound")
    (folder / "noisy" / "notes.txt").write_text("not looked at")
    return folder
