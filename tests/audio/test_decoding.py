"""Files are decoded as libsndfile and ffmpeg do, and a file without sound is one error line."""

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrewatch.audio.decoding import decode_file, decode_in_child, read_samples
from genrewatch.audio.resample import Resampler
from genrewatch.contract.errors import SourceError
from genrewatch.host import process

soundfile = pytest.importorskip("soundfile")
pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def write(path: Path, *, rate: int = 22_050, channels: int = 1, subtype: str = "PCM_16", n: int = 30_001) -> Path:
    sound = np.random.default_rng(5).uniform(-1, 1, (n, channels))
    soundfile.write(path, sound, rate, subtype=subtype)
    return path


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        *[("a.wav", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT")],
        *[("a.flac", "PCM_16"), ("a.flac", "PCM_24"), ("a.aiff", "PCM_16"), ("a.au", "PCM_16")],
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_lossless_file_at_its_own_rate_is_read_bit_for_bit(
    tmp_path: Path, name: str, subtype: str, channels: int
) -> None:
    path = write(tmp_path / name, subtype=subtype, channels=channels)
    theirs, _ = soundfile.read(path, dtype="float32", always_2d=True)
    expected = theirs.mean(axis=1, dtype=np.float32)
    assert read_samples(path, 22_050).tobytes() == expected.tobytes()
    by_ffmpeg = [block.samples for block in decode_in_child(path)]
    assert np.concatenate(by_ffmpeg).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["a.ogg", "a.mp3"])
def test_a_lossy_file_is_read_too(tmp_path: Path, name: str) -> None:
    t = np.arange(2 * 22_050) / 22_050
    soundfile.write(tmp_path / name, 0.5 * np.sin(2 * np.pi * 440 * t), 22_050)
    samples = read_samples(tmp_path / name, 22_050)
    assert len(samples) == pytest.approx(len(t), abs=3_000)
    spectrum = np.abs(np.fft.rfft(samples[5_000:27_050]))
    assert spectrum.argmax() == 440


def test_another_rate_is_resampled_as_a_live_source_would_be(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", rate=44_100)
    native = read_samples(path, 44_100)
    resampler = Resampler(44_100, 22_050)
    live = [resampler.push(piece) for piece in np.array_split(native, 13)]
    live.append(resampler.push(np.empty(0, np.float32), last=True))
    assert read_samples(path, 22_050).tobytes() == np.concatenate(live).tobytes()


def test_blocks_come_at_the_files_own_rate(tmp_path: Path) -> None:
    blocks = list(decode_file(write(tmp_path / "a.wav", rate=48_000, channels=2)))
    assert {block.sample_rate for block in blocks} == {48_000}
    assert sum(len(block.samples) for block in blocks) == 30_001


@pytest.mark.parametrize("name", ["-y.wav", "a b.wav", "http:x.wav", "concat:a|b.wav", "%d.wav", "it's.wav", "ü.wav"])
def test_a_name_is_never_taken_for_an_option_an_address_or_a_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with (tmp_path / name).open("wb") as file:
        soundfile.write(file, np.zeros(500), 22_050, format="WAV", subtype="PCM_16")
    monkeypatch.chdir(tmp_path)
    assert len(read_samples(Path(name), 22_050)) == 500


def nothing(path: Path) -> None:
    pass


def text(path: Path) -> None:
    path.write_text("this is no sound at all\n" * 50)


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(5_000))


def header_alone(path: Path) -> None:
    write(path, n=0)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (nothing, "no such file"),
        (Path.touch, "cannot be decoded"),
        (text, "cannot be decoded"),
        (noise, "cannot be decoded"),
        (header_alone, "cannot be decoded"),
        (Path.mkdir, "not a file"),
    ],
)
def test_a_file_without_sound_is_one_error_line(tmp_path: Path, make: Any, reason: str) -> None:
    path = tmp_path / "song.wav"
    make(path)
    with pytest.raises(SourceError) as wrong:
        read_samples(path, 22_050)
    message = str(wrong.value)
    assert message.startswith(f"{path}: {reason}")
    assert message.endswith("expected a sound file")
    assert "\n" not in message
    assert message.count(str(path)) == 1


def test_an_image_is_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "cover.wav"
    path.write_bytes(b"P6 2 2 255\n" + bytes(12))
    with pytest.raises(SourceError, match="cannot be decoded"):
        read_samples(path, 22_050)


def test_no_decoder_is_left_running_when_the_reader_stops_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def remembered(*args: Any, **keys: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **keys))
        return started[-1]

    monkeypatch.setattr(process.subprocess, "Popen", remembered)
    blocks = decode_in_child(write(tmp_path / "a.wav", n=2_000_000))
    next(blocks)
    assert started[0].poll() is None
    blocks.close()  # type: ignore[attr-defined]
    assert started[0].poll() is not None


def test_without_ffmpeg_one_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.zeros(5000), 22_050)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="ffmpeg: is not installed"):
        read_samples(path, 22_050)


@pytest.mark.parametrize("rate", [1, 500])
def test_an_impossible_rate_is_one_error_line_and_no_hang(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "slow.wav"
    soundfile.write(path, np.zeros(200_000, np.float32), 8000)
    content = bytearray(path.read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(SourceError, match=f"found {rate}, expected"):
        read_samples(path, 22_050)


def test_a_name_that_is_too_long_for_the_system_is_one_error_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="file name too long"):
        read_samples(tmp_path / ("x" * 300), 22_050)


def test_tags_of_a_megabyte_do_not_matter(tmp_path: Path) -> None:
    plain, tagged = write(tmp_path / "plain.wav"), tmp_path / "tagged.flac"
    tags = tmp_path / "tags"
    tags.write_text(";FFMETADATA1\ncomment=" + "x" * 1_500_000 + "\n")
    command = ["ffmpeg", "-v", "error", "-i", str(plain), "-i", str(tags), "-map_metadata", "1", str(tagged)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    assert np.array_equal(read_samples(tagged, 22_050), read_samples(plain, 22_050))


def test_a_wav_with_24_valid_bits_in_32_is_read_which_ffmpeg_takes_for_floats(tmp_path: Path) -> None:
    sound = np.round(np.random.default_rng(5).uniform(-1, 1, 30_001) * 2**23) / 2**23 * 0.9
    numbers = (sound * (2**23 - 1)).astype("<i4") * 256
    head = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 22_050, 88_200, 4, 32, 22, 24, 4)
    body = head + struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    chunks = b"WAVEfmt " + struct.pack("<I", len(body)) + body + b"data" + struct.pack("<I", 4 * len(numbers))
    path = tmp_path / "padded.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks) + 4 * len(numbers)) + chunks + numbers.tobytes())
    assert np.abs(read_samples(path, 22_050) - sound).max() < 1e-6
