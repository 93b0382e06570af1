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

Encoding = Literal["s16le", "s24le", "s24in32le", "s32le", "f32le", "f64le", "u8"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
_BYTES = {"u8": 1, "s16le": 2, "s24le": 3, "s24in32le": 4, "s32le": 4, "f32le": 4, "f64le": 8}
_WAV: dict[tuple[int, int], Encoding] = {  # by format tag and bytes of a sample
    (1, 1): "u8",
    (1, 2): "s16le",
    (1, 3): "s24le",
    (1, 4): "s32le",
    (3, 4): "f32le",
    (3, 8): "f64le",
}
_EXTENSIBLE = 0xFFFE
_RIFF = {b"RIFF", b"RF64", b"BW64"}  # the latter two with 64-bit sizes
READ_BYTES = 65_536
READ_S = 12.0
"""Seconds of sound that one read may return: more than comes at once after the longest jitter that loses nothing."""
ENDLESS = 2**62
STREAMED_BYTES = 0x7FFF_0000  # a WAV length of at least this (arecord, sox, ffmpeg), or of 0, means unknown
MAX_FLOAT = np.float32(2**20)  # above it a float is garbage, and its power would not fit the front end
MAX_HEADER_BYTES = 2**20  # of all WAV chunks before the sound
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
        return self.channels * _BYTES[self.encoding]


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
    if start[:4] not in _RIFF or start[8:] != b"WAVE":
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


def is_padded_wav(head: bytes) -> bool:
    """Return True for the start of a WAV whose samples have fewer valid bits than room, as 24 bits in 32."""
    at = head.find(b"fmt ", 12)
    if head[:4] not in _RIFF or head[8:12] != b"WAVE" or at < 0 or len(head) < at + 28:
        return False
    tag, channels, _, _, frame_bytes, bits, _, valid = struct.unpack("<HHIIHHHH", head[at + 8 : at + 28])
    valid = valid if tag == _EXTENSIBLE and valid else bits
    return bool(channels) and tag in (1, _EXTENSIBLE) and valid < 8 * frame_bytes // channels


def _raw_blocks(read: Read, pcm: PcmFormat, left: int, channel: Channel) -> Iterator[Block]:
    """Yield blocks of the next `left` bytes."""
    rest, mixer = b"", Mixer(pcm.channels, pcm.rate, channel)
    most = max(READ_BYTES, round(READ_S * pcm.rate) * pcm.frame_bytes)
    while left and (data := read(min(most, left))):
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
    samples = _samples(data, pcm.encoding)
    if pcm.channels == 1:
        return Block(samples=samples, sample_rate=pcm.rate, lost=lost)
    mono = mixer.push(samples.reshape(-1, pcm.channels))
    return Block(samples=mono, sample_rate=pcm.rate, lost=lost, mix=mixer.mix)


def _samples(data: bytes, encoding: Encoding) -> Samples:
    """Convert bytes to float32 in [-1, 1], channels interleaved; NaN and impossible floats become 0."""
    match encoding:
        case "u8":
            return (np.frombuffer(data, "u1").astype(np.float32) - np.float32(128)) * np.float32(1 / 128)
        case "s16le":
            return np.frombuffer(data, "<i2").astype(np.float32) * np.float32(1 / 2**15)
        case "f32le" | "f64le":
            raw = np.frombuffer(data, "<f4" if encoding == "f32le" else "<f8")
            return np.where(np.abs(raw) <= MAX_FLOAT, raw, 0).astype(np.float32)
        case "s24le":
            whole = np.zeros((len(data) // 3, 4), "u1")
            whole[:, 1:] = np.frombuffer(data, "u1").reshape(-1, 3)  # the high bytes of 32 bits
            wide = whole.view("<i4").reshape(-1)
        case "s24in32le":
            wide = np.frombuffer(data, "<i4") << 8
        case "s32le":
            wide = np.frombuffer(data, "<i4")
    return wide.astype(np.float32) * np.float32(1 / 2**31)


def _wav_format(read: Read, where: str) -> tuple[PcmFormat, int]:
    """Read chunks up to the sound; return its format and its length in bytes, `ENDLESS` for a streamed file."""
    pcm, long_size, header_bytes = None, ENDLESS, 0
    while True:
        header = _read_exactly(read, 8)
        if len(header) < 8:
            raise SourceError(where, "a WAV header without sound data", "a data chunk")
        name, size = header[:4], struct.unpack("<I", header[4:])[0]
        if name == b"data":
            if pcm is None:
                raise SourceError(where, "WAV data before its format", "a fmt chunk first")
            return pcm, size if 0 < size < STREAMED_BYTES else long_size
        header_bytes += 8 + size
        if header_bytes > MAX_HEADER_BYTES:
            raise SourceError(where, f"{header_bytes} bytes of WAV chunks before the sound", "a header")
        body = _read_exactly(read, size + size % 2)
        if name == b"fmt ":
            pcm = _parse_fmt(body, where)
        elif name == b"ds64" and len(body) >= 16:
            long_size = struct.unpack("<Q", body[8:16])[0] or ENDLESS


def _parse_fmt(body: bytes, where: str) -> PcmFormat:
    """Return the format of a fmt chunk; fewer valid bits than a sample has room for are its high bits."""
    if len(body) < 16:
        raise SourceError(where, f"a WAV format of {len(body)} bytes", "at least 16")
    tag, channels, rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == _EXTENSIBLE and len(body) >= 26:
        tag = struct.unpack("<H", body[24:26])[0]
    sample_bytes = frame_bytes // channels if channels and frame_bytes % channels == 0 else 0
    encoding = _WAV.get((tag, sample_bytes or -(-bits // 8)))
    if encoding is None:
        raise SourceError(where, f"WAV format {tag} with {bits} bits", "8 to 32 bit PCM, or 32 or 64 bit float")
    try:
        return PcmFormat(rate=rate, channels=channels, encoding=encoding)
    except ConfigError as exc:
        raise SourceError(f"{where}: WAV {exc.where}", exc.found, exc.expected) from None


def _read_exactly(read: Read, n: int) -> bytes:
    data = b""
    while len(data) < n and (more := read(n - len(data))):
        data += more
    return data
