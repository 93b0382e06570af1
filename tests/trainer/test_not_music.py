from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.lab import TINY

from genrewatch.contract.errors import DataError
from genrewatch.contract.vote import NOT_MUSIC
from genrewatch_trainer.data.not_music import MAKERS, not_music_store


@pytest.fixture(autouse=True)
def _few_voices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Babble of few voices: a voice takes half a second to synthesize."""
    monkeypatch.setattr("genrewatch_trainer.data.not_music.TALKS", 2)


def test_the_part_of_a_recording_depends_on_its_content_and_synthetic_sound_is_for_training(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genrewatch_trainer.data.not_music.MADE_OF_EACH", 2)
    folder = tmp_path / "speech"
    folder.mkdir()
    for i in range(30):
        soundfile.write(folder / f"{i}.wav", rng.uniform(-0.5, 0.5, 200), TINY.sample_rate)
    store = not_music_store([folder], tmp_path / "store", TINY, scheme="fixed", seed=0)
    split = store.index.splits["fixed"]
    recordings = {name: part for name, part in split.items() if name.startswith("speech/")}
    assert store.index.labels == (NOT_MUSIC,)
    assert len(store) == 30 + 2 * len(MAKERS)
    assert set(split.values()) == {"train", "test"}
    assert 3 <= Counter(recordings.values())["test"] <= 22
    assert all(part == "train" for name, part in split.items() if name.startswith("made/"))
    assert min(clip.n_frames for clip in store.index.clips) >= TINY.segment_frames

    for path in folder.iterdir():
        path.rename(folder / f"x{path.name}")
    again = not_music_store([folder], tmp_path / "again", TINY, scheme="fixed", seed=0).index.splits["fixed"]
    assert {name.replace("/x", "/"): part for name, part in again.items()} == split


@pytest.mark.parametrize("kind", MAKERS)
def test_synthetic_sound_is_finite_and_follows_its_seed(kind: str) -> None:
    first, again, other = (MAKERS[kind](4000, 8000, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (4000,)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.abs(first).max() > 0.01
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_folder_without_recordings_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no sound file"):
        not_music_store([tmp_path], tmp_path / "store", TINY, scheme="fixed", seed=0)
