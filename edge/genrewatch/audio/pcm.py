"""PCM from a pipe to blocks of mono float32 in [-1, 1]: raw, after a WAV header, or in packets."""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from genrewatch.audio.mix import Channel, Mix, Mixer
from genrewatch.audio.packets import HEADER_BYTES, MAGIC, PACKET_BYTES, parse_header, parse_packet
from genrewatch.contract.errors import ConfigError, SourceError, require
from genrewatch.contract.front_end import Samples

Encoding = Literal["s16le", "s32le", "f32le", "u8"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
_NUMPY = {"s16le": ("<i2", 32768.0), "s32le": ("<i4", 2147483648.0), "f32le": ("<f4", 1.0), "u8": ("u1", 128.0)}
_WAV = {(1, 8): "u8", (1, 16): "s16le", (1, 32): "s32le", (3, 32): "f32le"}
_EXTENSIBLE = 0xFFFE
READ_BYTES = 65_536
ENDLESS = 2**62
STREAMED_BYTES = 0x7FFF_0000  # a WAV length of at least this (arecord, sox, ffmpeg), or of 0, means unknown
MAX_FLOAT = np.float32(2**20)  # above it a float is garbage, and its power would not fit the front end
MAX_HEADER_BYTES = 2**20  # of one WAV chunk before the sound
MAX_PACKET_BYTES = 2**24

Read = Callable[[int], bytes]
"""`read(n)` returns 1 to n bytes, blocking until there is one; none at the end."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """PCM of any length, as a source yields it."""

    samples: Samples
    """(n,) mono float32."""
    sample_rate: int
    """Samples per second."""
    lost: int = 0
    """Samples that are missing between the previous block and this one."""
    last: bool = False
    """Whether a break follows, so that sound before it need not wait for sound after it."""
    mix: Mix | None = None
    """The way of mixing at the end of the block; None for one channel."""

    @property
    def duration_s(self) -> float:
        """Seconds of sound, without what was lost before it."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class PcmFormat:
    """Format of raw PCM."""

    rate: int
    """Samples per second and channel."""
    channels: int = 1
    """Interleaved channels."""
    encoding: Encoding = "s16le"
    """Number format of a sample."""

    def __post_init__(self) -> None:
        require(1_000 <= self.rate <= 768_000, "rate", self.rate, "1000 to 768000")
        require(1 <= self.channels <= 64, "channels", self.channels, "1 to 64")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * np.dtype(_NUMPY[self.encoding][0]).itemsize


def pcm_blocks(read: Read, pcm: PcmFormat | None, *, where: str, channel: Channel = "auto") -> Iterator[Block]:
    """Yield blocks until `read` ends.

    Without a format the bytes must begin with a header, of WAV or of packets, which carry the samples lost before each;
    SourceError otherwise. `channel` chooses what is taken of several channels.
    """
    if pcm:
        yield from _raw_blocks(read, pcm, ENDLESS, channel)
        return
    start = _read_exactly(read, HEADER_BYTES)
    if len(start) == HEADER_BYTES and start[:4] == MAGIC:
        yield from _packet_blocks(read, start, where, channel)
        return
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        found = "nothing" if not start else "raw bytes without a WAV header"
        raise SourceError(where, found, "WAV, or raw PCM with ?rate=...&channels=...&format=s16le")
    yield from _raw_blocks(read, *_wav_format(read, where), channel)


def until_break(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield the same blocks and, when they end or fail, an empty one with `last` set; then raise the failure."""
    block, failure = None, None
    try:
        for block in blocks:
            yield block
    except Exception as exc:
        failure = exc  # raised after the sound before it has been processed
    if block:
        yield Block(samples=block.samples[:0], sample_rate=block.sample_rate, last=True)
    if failure:
        raise failure


def _raw_blocks(read: Read, pcm: PcmFormat, left: int, channel: Channel) -> Iterator[Block]:
    """Yield blocks of the next `left` bytes."""
    rest, mixer = b"", Mixer(pcm.channels, pcm.rate, channel)
    while left and (data := read(min(READ_BYTES, left))):
        left -= len(data)
        data = rest + data
        whole = len(data) - len(data) % pcm.frame_bytes
        rest = data[whole:]
        if whole:
            yield _block(data[:whole], pcm, mixer)


def _packet_blocks(read: Read, start: bytes, where: str, channel: Channel) -> Iterator[Block]:
    """Yield a block for each packet; a packet cut short by the end gives the samples that are there."""
    rate, channels = parse_header(start)
    try:
        pcm = PcmFormat(rate=rate, channels=channels)
    except ConfigError as exc:
        raise SourceError(f"{where}: {exc.where}", exc.found, exc.expected) from None
    lost, mixer = 0, Mixer(pcm.channels, pcm.rate, channel)
    while len(head := _read_exactly(read, PACKET_BYTES)) == PACKET_BYTES:
        missing, n_bytes = parse_packet(head)
        if n_bytes > MAX_PACKET_BYTES or n_bytes % pcm.frame_bytes:
            raise SourceError(where, f"a packet of {n_bytes} bytes", f"whole samples of {pcm.frame_bytes} bytes")
        data = _read_exactly(read, n_bytes)
        lost += missing
        if whole := len(data) - len(data) % pcm.frame_bytes:
            yield _block(data[:whole], pcm, mixer, lost)
            lost = 0


def _block(data: bytes, pcm: PcmFormat, mixer: Mixer, lost: int = 0) -> Block:
    if pcm.channels == 1:
        return Block(samples=_samples(data, pcm), sample_rate=pcm.rate, lost=lost)
    samples = mixer.push(_samples(data, pcm).reshape(-1, pcm.channels))
    return Block(samples=samples, sample_rate=pcm.rate, lost=lost, mix=mixer.mix)


def _samples(data: bytes, pcm: PcmFormat) -> Samples:
    """Convert bytes to float32, channels interleaved; NaN and impossible floats become 0."""
    dtype, full_scale = _NUMPY[pcm.encoding]
    raw = np.frombuffer(data, dtype).astype(np.float32)
    if pcm.encoding == "f32le":
        raw[~(np.abs(raw) <= MAX_FLOAT)] = 0
    elif pcm.encoding == "u8":
        raw -= np.float32(128)
    return raw * np.float32(1 / full_scale)


def _wav_format(read: Read, where: str) -> tuple[PcmFormat, int]:
    """Read chunks up to the sound; return its format and its length in bytes, `ENDLESS` for a streamed file."""
    pcm = None
    while True:
        header = _read_exactly(read, 8)
        if len(header) < 8:
            raise SourceError(where, "a WAV header without sound data", "a data chunk")
        name, size = header[:4], struct.unpack("<I", header[4:])[0]
        if name == b"data":
            if pcm is None:
                raise SourceError(where, "WAV data before its format", "a fmt chunk first")
            return pcm, size if 0 < size < STREAMED_BYTES else ENDLESS
        if size > MAX_HEADER_BYTES:
            raise SourceError(where, f"a WAV chunk {name!r} of {size} bytes before the sound", "a header")
        body = _read_exactly(read, size + size % 2)
        if name == b"fmt ":
            pcm = _parse_fmt(body, where)


def _parse_fmt(body: bytes, where: str) -> PcmFormat:
    if len(body) < 16:
        raise SourceError(where, f"a WAV format of {len(body)} bytes", "at least 16")
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == _EXTENSIBLE and len(body) >= 26:
        tag = struct.unpack("<H", body[24:26])[0]
    encoding = _WAV.get((tag, bits))
    if encoding not in ENCODINGS:
        raise SourceError(where, f"WAV format {tag} with {bits} bits", "8, 16 or 32 bit PCM, or 32 bit float")
    try:
        return PcmFormat(rate=rate, channels=channels, encoding=encoding)
    except ConfigError as exc:
        raise SourceError(f"{where}: WAV {exc.where}", exc.found, exc.expected) from None


def _read_exactly(read: Read, n: int) -> bytes:
    data = b""
    while len(data) < n and (more := read(n - len(data))):
        data += more
    return data
