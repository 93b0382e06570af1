"""Clips are decoded without a child, with ffmpeg's samples; what is damaged, long or chained is left to ffmpeg."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from genrewatch.audio import clip_decoding
from genrewatch.audio.clip_decoding import decode_clip
from genrewatch.audio.decoding import decode_file, decode_in_child

RATE = 22_050
pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def sound(seconds: float = 3.0) -> NDArray[np.float64]:
    """Return noise that fades, (n, 2), which no codec can predict."""
    rng = np.random.default_rng(3)
    n = round(seconds * RATE)
    return rng.uniform(-0.5, 0.5, (n, 2)) * np.linspace(1, 0.1, n)[:, None]


def samples_of(decode: Callable[[Path], object], path: Path) -> NDArray[np.float32]:
    return np.concatenate([block.samples for block in decode(path)])  # type: ignore[attr-defined]


def refuse_children(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_child(*_: object) -> None:
        raise AssertionError("a child was started")

    monkeypatch.setattr("genrewatch.audio.decoding._decoder", no_child)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.au", "a.ogg"])
def test_a_clip_is_decoded_without_a_child_as_ffmpeg_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    soundfile.write(tmp_path / name, sound(), RATE)
    expected = samples_of(decode_in_child, tmp_path / name)
    refuse_children(monkeypatch)
    found = samples_of(decode_file, tmp_path / name)
    assert np.abs(found - expected).max() <= (1e-6 if name == "a.ogg" else 0)


def test_blocks_of_a_clip_have_its_rate_and_its_way_of_mixing(tmp_path: Path) -> None:
    left_out = sound() * [1, -1]
    soundfile.write(tmp_path / "a.flac", (left_out[:, :1] * [1, -1]), RATE)
    block = next(iter(decode_file(tmp_path / "a.flac")))
    assert block.sample_rate == RATE
    assert block.mix is not None
    assert block.mix.phase == "antiphase"


@pytest.mark.parametrize("name", ["a.mp3", "a.opus", "a.caf", "a.ogg"])
def test_other_formats_are_left_to_ffmpeg(tmp_path: Path, name: str) -> None:
    subtype = {"a.opus": "OPUS", "a.caf": "PCM_16", "a.ogg": "OPUS"}.get(name)
    soundfile.write(tmp_path / name, sound(), 24_000, format="OGG" if "o" in name else None, subtype=subtype)
    assert decode_clip(tmp_path / name) is None
    assert len(samples_of(decode_file, tmp_path / name)) > 2 * RATE


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def zeroed(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(2000) + data[middle + 2000 :]


def twice(data: bytes) -> bytes:
    return data + data


def after_junk(data: bytes) -> bytes:
    return bytes(1000) + data


@pytest.mark.parametrize("change", [half, zeroed, twice, after_junk])
def test_a_damaged_or_chained_flac_loses_nothing_that_ffmpeg_finds(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    soundfile.write(tmp_path / "whole.flac", sound(), RATE)
    path = tmp_path / "a.flac"
    path.write_bytes(change((tmp_path / "whole.flac").read_bytes()))
    assert samples_of(decode_file, path).tobytes() == samples_of(decode_in_child, path).tobytes()


def test_two_songs_in_one_ogg_are_both_decoded(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.ogg", sound(4.0), RATE)
    (tmp_path / "two.ogg").write_bytes((tmp_path / "one.ogg").read_bytes() * 2)
    assert len(samples_of(decode_file, tmp_path / "two.ogg")) == pytest.approx(2 * 4.0 * RATE, rel=0.01)


def test_a_long_file_is_left_to_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", sound(), RATE)
    assert decode_clip(tmp_path / "a.wav") is not None
    monkeypatch.setattr(clip_decoding, "MAX_VALUES", 2 * 3 * RATE - 1)
    assert decode_clip(tmp_path / "a.wav") is None


@pytest.mark.parametrize("error", [OSError("sndfile library not found"), ImportError("No module named 'soundfile'")])
def test_without_libsndfile_ffmpeg_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    soundfile.write(tmp_path / "a.wav", sound(), RATE)

    class Missing:
        def __getattr__(self, _: str) -> object:
            raise error

    monkeypatch.setitem(sys.modules, "soundfile", Missing())
    assert len(samples_of(decode_file, tmp_path / "a.wav")) == 3 * RATE


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    for name in ("wav", "flac", "ogg", "aiff"):
        soundfile.write(folder / f"a.{name}", sound(0.3), RATE)
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(suffix=st.sampled_from([".wav", ".flac", ".ogg", ".aiff"]), at=st.integers(0, 2000), new=st.binary(max_size=40))
def test_changed_bytes_give_sound_or_none(
    tmp_path: Path, whole: dict[str, bytes], suffix: str, at: int, new: bytes
) -> None:
    data = whole[suffix]
    path = tmp_path / f"changed{suffix}"
    path.write_bytes(data[:at] + new + data[at + len(new) :])
    found = decode_clip(path)
    if found:
        content, pcm = found
        assert 0 < len(content.getvalue()) <= 4 * clip_decoding.MAX_VALUES
        assert pcm.channels >= 1


def test_a_command_line_that_decodes_no_clip_does_not_load_libsndfile() -> None:
    program = "import sys, genrewatch.audio.decoding; print('soundfile' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_a_seek_to_an_impossible_place_is_no_exception(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(100))
    with clip_decoding._SoundFile(tmp_path / "a") as file:
        assert file.seek(10) == 10
        assert file.seek(-50) == 10
        assert file.seek(-200, 2) == 10
