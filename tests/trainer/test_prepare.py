from pathlib import Path

import numpy as np
import pytest

from genrewatch.audio import decoding
from genrewatch.audio.pre_filter import CURRENT, pre_filtered
from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import COMPACT, FrontEnd
from genrewatch.inference.pipeline import resampled
from genrewatch_trainer.cli import main
from genrewatch_trainer.data import oracle
from genrewatch_trainer.data.prepare import prepare
from genrewatch_trainer.data.store import Store


def test_the_readable_files_become_clips_and_the_others_are_named(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(corpus), "-o", str(tmp_path / "s"), "--front-end", "compact", "--jobs", "1"]) == 0
    captured = capsys.readouterr()
    store = Store.load(tmp_path / "s")
    names = [clip.name for clip in store.index.clips]
    assert names == ["noisy.0", "noisy.1", "noisy.2", "tonal.0", "tonal.1"]
    assert store.index.labels == ("noisy", "tonal")
    assert "broken.wav" in captured.err
    assert "short.wav" in captured.err
    assert "notes.txt" not in captured.err
    assert "5 clips, 2 skipped, 1 duplicates" in captured.out


def test_an_exact_duplicate_is_reported_and_shares_its_track(corpus: Path, tmp_path: Path) -> None:
    done = prepare(corpus, tmp_path / "s", COMPACT, splits=None, jobs=1)
    assert done.duplicates == (("noisy.2", "noisy.1"),)
    tracks = {clip.name: clip.track for clip in Store.load(tmp_path / "s").index.clips}
    assert tracks["noisy.2"] == tracks["noisy.1"] != tracks["noisy.0"]


def test_what_the_trainer_stores_is_what_the_device_computes_bit_for_bit(corpus: Path, tmp_path: Path) -> None:
    prepare(corpus, tmp_path / "s", COMPACT, splits=None, jobs=2)
    store = Store.load(tmp_path / "s")
    for i, clip in enumerate(store.index.clips):
        path = next(corpus.glob(f"*/{clip.name}.*"))
        pieces = pre_filtered(resampled(decoding.decode_file(path), COMPACT.sample_rate), COMPACT.sample_rate, CURRENT)
        device = FrontEnd(COMPACT).power_db(np.concatenate([sound.samples for sound, _ in pieces]))
        np.testing.assert_array_equal(store.clip(i), device)


def test_files_of_one_stem_keep_their_paths_as_names(corpus: Path, tmp_path: Path) -> None:
    (corpus / "tonal" / "tonal.0.wav").rename(corpus / "tonal" / "noisy.1.wav")
    prepare(corpus, tmp_path / "s", COMPACT, splits=None, jobs=1)
    names = {clip.name for clip in Store.load(tmp_path / "s").index.clips}
    assert {"tonal/noisy.1.wav", "noisy/noisy.1.wav"} <= names


def test_a_folder_without_sound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no sound files"):
        prepare(tmp_path, tmp_path / "s", COMPACT, splits=None, jobs=1)


def test_a_corpus_of_nothing_but_broken_files_leaves_no_store(tmp_path: Path) -> None:
    (tmp_path / "c" / "rock").mkdir(parents=True)
    (tmp_path / "c" / "rock" / "a.mp3").write_bytes(b"\0" * 100)
    with pytest.raises(DataError, match=r"a\.mp3: cannot be decoded.*no other file can be used"):
        prepare(tmp_path / "c", tmp_path / "s", COMPACT, splits=None, jobs=1)
    assert not (tmp_path / "s").exists()


def test_the_log_mel_is_checked_against_librosa_and_a_machine_that_disagrees_makes_no_store(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = prepare(corpus, tmp_path / "store", COMPACT, splits=None, jobs=1)
    assert 0 < done.difference_db < 1e-3
    monkeypatch.setattr(oracle, "librosa_power_db", lambda samples, config: FrontEnd(config).power_db(samples) + 0.01)
    with pytest.raises(DataError, match="dB off librosa's"):
        prepare(corpus, tmp_path / "other", COMPACT, splits=None, jobs=1)
    assert not (tmp_path / "other").exists()
