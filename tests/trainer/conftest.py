"""Session-wide tiny runs, and a small corpus of sound files with a broken file and a duplicate."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.lab import DISTILLED, experiment, write_store, write_talk, write_targets

from genrewatch.contract.front_end import COMPACT
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.distillation.targets import Targets
from genrewatch_trainer.run import Run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of low and high sound that a test may change."""
    return write_store(tmp_path / "store")


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store of low and high sound; not to be written to."""
    return write_store(tmp_path_factory.mktemp("store") / "store")


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of a third label, `not_music`; not to be written to."""
    return write_talk(tmp_path_factory.mktemp("talk") / "talk")


@pytest.fixture(scope="session")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Targets:
    """A target store of low and high crops; not to be written to."""
    return write_targets(tmp_path_factory.mktemp("targets") / "targets")


@pytest.fixture(scope="session")
def trained(shared_store: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Run]:
    """The store and a run of the tiny recipe on its part `train`; not to be written to."""
    from genrewatch_trainer.training.fit import fit

    return shared_store, fit(experiment(shared_store), tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture(scope="session")
def distilled(
    shared_store: Store, talk: Store, targets: Targets, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Store, Run]:
    """The store and a distilled run on it, on `talk` and on `targets`; not to be written to."""
    from genrewatch_trainer.training.fit import fit

    of = experiment(shared_store, DISTILLED, extra_stores=((talk, 0.5),), targets=(targets,))
    return shared_store, fit(of, tmp_path_factory.mktemp("distilled") / "run")


@pytest.fixture(scope="session")
def readout(distilled: tuple[Store, Run], talk: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A readout of the distilled run on the labels high, low and not_music; not to be written to."""
    from genrewatch_trainer.distillation.readout import fit_readout, readout_of

    store, run = distilled
    of = readout_of(run, store, scheme="fixed", train_parts=("train",), extra_stores=((talk, 0.5),))
    return fit_readout(of, tmp_path_factory.mktemp("readout") / "run", strength=1.0)


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
