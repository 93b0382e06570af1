"""Bytes off a pipe to mono float32: every encoding, WAV headers, and bytes that come in awkward pieces."""

import struct
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrewatch.audio.pcm import ENCODINGS, Encoding, PcmFormat, Read, pcm_blocks
from genrewatch.contract.errors import ConfigError, SourceError

SUBFORMAT_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def reader(data: bytes, sizes: list[int] | None = None) -> Read:
    """Return a pipe that yields its bytes in pieces of the given sizes, and then as many as requested."""
    steps: Iterator[int] = iter(sizes or [])
    at = 0

    def read(n: int) -> bytes:
        nonlocal at
        piece = data[at : at + max(1, min(n, next(steps, n)))]
        at += len(piece)
        return piece

    return read


def decoded(data: bytes, pcm: PcmFormat | None = None, sizes: list[int] | None = None) -> np.ndarray:
    blocks = list(pcm_blocks(reader(data, sizes), pcm, where="pipe"))
    assert all(block.samples.dtype == np.float32 and block.lost == 0 for block in blocks)
    return np.concatenate([np.empty(0, np.float32), *(block.samples for block in blocks)])


def refusal(data: bytes) -> str:
    with pytest.raises(SourceError) as wrong:
        decoded(data)
    assert str(wrong.value).startswith("pipe: ")
    assert "\n" not in str(wrong.value)
    return str(wrong.value).removeprefix("pipe: ")


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def fmt(tag: int, bits: int, *, rate: int = 16_000, channels: int = 1) -> bytes:
    size = channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, rate, rate * size % 2**32, size, bits)


def wav(body: bytes, data: bytes, *, before: bytes = b"", data_size: int | None = None) -> bytes:
    size = len(data) if data_size is None else data_size
    chunks = b"WAVE" + chunk(b"fmt ", body) + before + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", min(len(chunks), 2**32 - 1)) + chunks


@pytest.mark.parametrize(
    ("encoding", "data", "expected"),
    [
        ("s16le", struct.pack("<5h", 0, 1, -1, 32767, -32768), [0, 2**-15, -(2**-15), 1 - 2**-15, -1]),
        ("s32le", struct.pack("<4i", 0, 2**30, -(2**31), 2**16), [0, 0.5, -1, 2**-15]),
        ("s24le", bytes.fromhex("000000 000040 000080 000100"), [0, 0.5, -1, 2**-15]),
        ("s24in32le", struct.pack("<4i", 0, 2**22, -(2**23), 2**8), [0, 0.5, -1, 2**-15]),
        ("f32le", struct.pack("<4f", 0, 0.25, -1.5, 1), [0, 0.25, -1.5, 1]),
        ("f64le", struct.pack("<5d", 0, 0.25, -1.5, 1, 1e300), [0, 0.25, -1.5, 1, 0]),
        ("u8", bytes([128, 0, 255, 129]), [0, -1, 127 / 128, 1 / 128]),
    ],
)
def test_every_encoding_is_read_exactly(encoding: Encoding, data: bytes, expected: list[float]) -> None:
    assert decoded(data, PcmFormat(rate=8_000, encoding=encoding)).tolist() == expected


def test_channels_are_averaged() -> None:
    data = struct.pack("<6h", 100, 300, -50, 50, 32767, -32767)
    assert decoded(data, PcmFormat(rate=8_000, channels=2)).tolist() == [200 / 32768, 0, 0]


@given(
    encoding=st.sampled_from(ENCODINGS),
    channels=st.integers(1, 3),
    n_bytes=st.integers(0, 300),
    sizes=st.lists(st.integers(1, 50), max_size=100),
)
def test_bytes_split_anywhere_give_the_same_samples(
    encoding: Encoding, channels: int, n_bytes: int, sizes: list[int]
) -> None:
    pcm = PcmFormat(rate=8_000, channels=channels, encoding=encoding)
    data = np.random.default_rng(n_bytes).integers(0, 256, n_bytes, np.uint8).tobytes()
    whole = decoded(data, pcm)
    assert len(whole) == n_bytes // pcm.frame_bytes
    assert decoded(data, pcm, sizes).tobytes() == whole.tobytes()
    assert decoded(data, pcm, [1] * n_bytes).tobytes() == whole.tobytes()


def test_half_a_sample_at_the_end_is_dropped() -> None:
    assert len(decoded(b"\0\0\0\0\0", PcmFormat(rate=8_000))) == 2


def test_floats_that_are_no_sound_count_as_0() -> None:
    values = np.array([0.5, np.nan, np.inf, -np.inf, 3e38, -1e30, -0.5], "<f4")
    samples = decoded(values.tobytes(), PcmFormat(rate=8_000, encoding="f32le"))
    assert samples.tolist() == [0.5, 0, 0, 0, 0, 0, -0.5]


def test_a_float_that_is_no_sound_in_one_channel_leaves_the_other() -> None:
    values = np.array([0.5, np.nan, 0.25, 0.75], "<f4")
    assert decoded(values.tobytes(), PcmFormat(rate=8_000, channels=2, encoding="f32le")).tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("tag", "bits", "encoding"),
    [(1, 8, "u8"), (1, 16, "s16le"), (1, 24, "s24le"), (1, 32, "s32le"), (3, 32, "f32le"), (3, 64, "f64le")],
)
@pytest.mark.parametrize("extensible", [False, True], ids=["plain", "extensible"])
def test_a_wav_header_sets_the_format(tag: int, bits: int, encoding: Encoding, extensible: bool) -> None:
    data = np.random.default_rng(bits).integers(0, 64, 240, np.uint8).tobytes()
    body = fmt(tag, bits, rate=44_100, channels=2)
    if extensible:
        body = fmt(0xFFFE, bits, rate=44_100, channels=2)
        body += struct.pack("<HHIH", 22, bits, 3, tag) + SUBFORMAT_TAIL
    (block,) = pcm_blocks(reader(wav(body, data)), None, where="pipe")
    assert block.sample_rate == 44_100
    expected = decoded(data, PcmFormat(rate=44_100, channels=2, encoding=encoding))
    assert block.samples.tobytes() == expected.tobytes()


def test_24_valid_bits_in_32_are_the_high_ones() -> None:
    body = fmt(0xFFFE, 32) + struct.pack("<HHIH", 22, 24, 4, 1) + SUBFORMAT_TAIL
    assert decoded(wav(body, struct.pack("<2i", 2**30, -(2**31)))).tolist() == [0.5, -1]


def test_an_rf64_has_its_length_in_a_chunk_of_its_own() -> None:
    data, after = b"\x01\x00" * 10, chunk(b"LIST", b"\x7f" * 300)
    sizes = chunk(b"ds64", struct.pack("<QQQI", 0, len(data), 10, 0))
    head = b"RF64\xff\xff\xff\xffWAVE" + sizes + chunk(b"fmt ", fmt(1, 16)) + b"data\xff\xff\xff\xff"
    assert decoded(head + data + after).tolist() == [2**-15] * 10


def test_a_wav_header_may_come_byte_by_byte_and_hold_other_chunks() -> None:
    whole = wav(fmt(1, 16), b"\x01\x00\x02\x00", before=chunk(b"LIST", b"odd") + chunk(b"fact", b"1234"))
    assert decoded(whole, sizes=[1] * len(whole)).tolist() == [2**-15, 2**-14]


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF, 2**31 - 36])
def test_a_streamed_wav_that_does_not_know_its_length_is_read_to_the_end(size: int) -> None:
    assert len(decoded(wav(fmt(1, 16), b"\0" * 2000, data_size=size))) == 1000


def test_chunks_after_the_sound_of_a_wav_are_ignored() -> None:
    whole = wav(fmt(1, 16), b"\x01\x00" * 10) + chunk(b"LIST", b"\x7f" * 300)
    assert decoded(whole).tolist() == [2**-15] * 10
    assert decoded(whole, sizes=[1] * len(whole)).tolist() == [2**-15] * 10


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "nothing, expected WAV, or raw PCM with ?rate="),
        (b"\0" * 1000, "raw bytes without a WAV header"),
        (b"RIFF\0\0\0\0AVI " + b"\0" * 100, "raw bytes without a WAV header"),
        (b"RIFF", "raw bytes without a WAV header"),
        (b"RIFF\0\0\0\0WAVE", "a WAV header without sound data"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", fmt(1, 16)), "a WAV header without sound data"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"data", b"\0\0"), "WAV data before its format"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", b"\1\0\1\0"), "a WAV format of 4 bytes, expected at least 16"),
        (wav(fmt(1, 40), b""), "WAV format 1 with 40 bits, expected 8 to 32 bit PCM"),
        (wav(fmt(85, 0), b""), "WAV format 85 with 0 bits"),
        (wav(fmt(3, 16), b""), "WAV format 3 with 16 bits"),
        (wav(fmt(1, 16, rate=0), b""), "WAV rate: found 0, expected 1000 to 768000"),
        (wav(fmt(1, 16, channels=0), b""), "WAV channels: found 0, expected 1 to 64"),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\xff" + b"\0" * 100, "4294967303 bytes of WAV chunks"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"LIST", bytes(20)) * 40_000, "1048600 bytes of WAV chunks before the sound"),
    ],
)
def test_a_garbage_header_is_refused_in_one_line(data: bytes, reason: str) -> None:
    assert refusal(data).startswith(reason)


def test_a_garbage_header_does_not_make_it_read_for_ever() -> None:
    taken = 0

    def endless(n: int) -> bytes:
        nonlocal taken
        taken += n
        assert taken < 10_000_000
        return (b"RIFF\0\0\0\0WAVEjunk\xf0\xff\xff\xff" + bytes(n))[:n] if taken <= 12 else b"\xf0" * n

    with pytest.raises(SourceError):
        list(pcm_blocks(endless, None, where="pipe"))


def test_a_block_is_handed_over_as_soon_as_its_bytes_are_there() -> None:
    asked = 0

    def read(n: int) -> bytes:
        nonlocal asked
        asked += 1
        return b"\0\0" * 100

    blocks = pcm_blocks(read, PcmFormat(rate=8_000), where="pipe")
    assert len(next(blocks).samples) == 100
    assert asked == 1


@pytest.mark.parametrize(("key", "value"), [("rate", 999), ("rate", 10**6), ("channels", 0), ("channels", 65)])
def test_an_impossible_format_is_refused(key: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: found {value}"):
        PcmFormat(**({"rate": 8_000} | {key: value}))  # type: ignore[arg-type]
