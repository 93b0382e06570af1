"""The front end: samples to log-mel, stateless, in numpy. Device and trainer use this same code.

    samples  |<---- n_fft ---->|                     frame k covers samples [k * hop_length, k * hop_length + n_fft)
             |-hop->|<---- n_fft ---->|              no padding: a frame holds real samples only
    frames   0      1      2 ... segment_frames - 1         one segment, the network's input

A frame depends only on its own samples, not on how many frames are computed in one call: there is no matrix product,
whose rounding depends on its size. So streaming, batch, device and trainer agree bit for bit.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from genrewatch.contract.errors import require

Samples = NDArray[np.float32]
"""(n,) mono samples, full scale is 1."""
PowerDb = NDArray[np.float32]
"""(n_frames, n_mels) mel power in dB re 1.0, not scaled."""
LogMel = NDArray[np.float32]
"""(segment_frames, n_mels) mel power scaled to [0, 1], the network's input."""
FRAMES_AT_ONCE = 12  # keeps the working set in the cache: 96 frames at once take 1.7 times as long


@dataclass(frozen=True, kw_only=True)
class FrontEndConfig:
    """Geometry and scaling of the log-mel, integers only. A network works only with the one it was trained with."""

    sample_rate: int
    """Samples per second of the mono signal."""
    n_fft: int
    """Samples in a frame, a power of two."""
    hop_length: int
    """Samples between the starts of neighbouring frames."""
    n_mels: int
    """Mel bands."""
    fmin: int
    """Lower edge of the lowest band, Hz."""
    fmax: int
    """Upper edge of the highest band, Hz, at most half the sample rate."""
    segment_frames: int
    """Frames in a segment."""
    floor_db: int = -100
    """Lower limit of the power of a mel cell, dB re 1.0 (librosa's amin = 1e-10)."""
    range_db: int = 80
    """Range of the log-mel, dB: the loudest cell of a segment becomes 1, cells this far below it 0."""

    def __post_init__(self) -> None:
        require(8_000 <= self.sample_rate <= 192_000, "sample_rate", self.sample_rate, "8000 to 192000")
        require(self.n_fft >= 64 and self.n_fft.bit_count() == 1, "n_fft", self.n_fft, "a power of two, at least 64")
        require(self.hop_length >= 1, "hop_length", self.hop_length, "at least 1")
        require(self.n_mels >= 1, "n_mels", self.n_mels, "at least 1")
        require(self.segment_frames >= 1, "segment_frames", self.segment_frames, "at least 1")
        require(0 <= self.fmin < self.fmax, "fmin", self.fmin, "0 <= fmin < fmax")
        require(2 * self.fmax <= self.sample_rate, "fmax", self.fmax, "at most half the sample rate")
        require(-200 <= self.floor_db <= 0, "floor_db", self.floor_db, "-200 to 0")
        require(1 <= self.range_db <= 200, "range_db", self.range_db, "1 to 200")

    @property
    def segment_samples(self) -> int:
        """Samples from the start of a segment's first frame to the end of its last."""
        return (self.segment_frames - 1) * self.hop_length + self.n_fft

    @property
    def segment_s(self) -> float:
        """Length of a segment, seconds."""
        return self.segment_samples / self.sample_rate

    def n_frames(self, n_samples: int) -> int:
        """Return the number of whole frames in `n_samples`."""
        return max(0, 1 + (n_samples - self.n_fft) // self.hop_length)


PAPER = FrontEndConfig(
    sample_rate=22_050, n_fft=1024, hop_length=256, n_mels=128, fmin=0, fmax=11_025, segment_frames=660
)
"""The paper's 128 x 660 input. Segments that do not overlap start 168,960 samples apart; the last frame ends 768
samples later, because there is no padding."""

COMPACT = FrontEndConfig(
    sample_rate=22_050, n_fft=2048, hop_length=1708, n_mels=128, fmin=0, fmax=11_025, segment_frames=96
)
"""The shipped model's geometry: 12.9 frames a second, 7.45 s a segment."""


class FrontEnd:
    """Log-mel for one configuration; holds tables only, no state."""

    def __init__(self, config: FrontEndConfig) -> None:
        self.config = config

    @cached_property
    def _window(self) -> NDArray[np.float64]:
        # Double precision up to the power costs no time. In single precision the rounding of a loud tone shows in
        # the silent bands (0.02 dB).
        n = self.config.n_fft
        return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)  # periodic Hann

    @cached_property
    def _bands(self) -> "_TriangularBands":
        return _TriangularBands(mel_filters(self.config), mel_edges(self.config), self.config)

    def power_db(self, samples: Samples) -> PowerDb:
        """Compute (n_frames, n_mels) mel power in dB re 1.0, at least `floor_db`, from (n,) samples.

        Whole frames only; equals librosa's `power_to_db(melspectrogram(center=False), top_db=None)`.
        """
        config = self.config
        out = np.empty((config.n_frames(len(samples)), config.n_mels), np.float32)
        if not len(out):
            return out
        frames = sliding_window_view(np.asarray(samples, np.float32), config.n_fft)[:: config.hop_length]
        for start in range(0, len(out), FRAMES_AT_ONCE):
            windowed = frames[start : start + FRAMES_AT_ONCE].astype(np.float64)
            windowed *= self._window
            spectrum = np.fft.rfft(windowed)
            power = np.square(spectrum.real)
            power += np.square(spectrum.imag)
            self._bands.sum(power.astype(np.float32), out=out[start : start + FRAMES_AT_ONCE])
        np.maximum(out, np.float32(10 ** (config.floor_db / 10)), out=out)
        np.log10(out, out=out)
        out *= np.float32(10)
        return out

    def scale(self, power_db: PowerDb) -> LogMel:
        """Scale (..., segment_frames, n_mels) dB to [0, 1], relative to the loudest cell of each segment.

        So the log-mel does not depend on the listening level. The reference is at least `floor_db + range_db`, so
        digital silence is all 0.
        """
        config = self.config
        loudest = power_db.max(axis=(-2, -1), keepdims=True)
        reference = np.maximum(loudest, np.float32(config.floor_db + config.range_db))
        scaled = (power_db - reference) * np.float32(1 / config.range_db) + np.float32(1)
        return np.asarray(np.clip(scaled, 0, 1, out=scaled))

    def log_mel(self, samples: Samples) -> LogMel:
        """Compute (segment_frames, n_mels) in [0, 1] from the (segment_samples,) samples of one segment."""
        if len(samples) != self.config.segment_samples:
            raise ValueError(f"{len(samples)} samples, expected segment_samples = {self.config.segment_samples}")
        return self.scale(self.power_db(samples))


def mel_edges(config: FrontEndConfig) -> NDArray[np.float64]:
    """Return the (n_mels + 2,) corner frequencies in Hz, equally spaced on Slaney's mel scale (Auditory Toolbox, 1998).

    Linear below 1 kHz (3 mel per 200 Hz), logarithmic above (27 mel per factor 6.4).
    """
    linear, corner, step = 200 / 3, 1000.0, np.log(6.4) / 27

    def to_mel(hz: float) -> float:
        return hz / linear if hz < corner else corner / linear + float(np.log(hz / corner)) / step

    mels = np.linspace(to_mel(config.fmin), to_mel(config.fmax), config.n_mels + 2)
    return np.where(mels < corner / linear, mels * linear, corner * np.exp(step * (mels - corner / linear)))


def mel_filters(config: FrontEndConfig) -> NDArray[np.float64]:
    """Return (n_mels, 1 + n_fft / 2) triangular filters of unit area (Slaney's norm), as `librosa.filters.mel`."""
    edges = mel_edges(config)
    bins = np.arange(1 + config.n_fft // 2) * config.sample_rate / config.n_fft
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]


class _TriangularBands:
    """Sums of power over triangular bands without a matrix product.

    A bin between two neighbouring edges lies on the rising flank of one filter and the falling flank of the one below.
    So each band is two weighted sums over intervals of edges: `band[m] = rising sum [m] + falling sum [m + 1]`.
    """

    def __init__(self, filters: NDArray[np.float64], edges: NDArray[np.float64], config: FrontEndConfig) -> None:
        bins = np.arange(filters.shape[1]) * config.sample_rate / config.n_fft
        starts = np.searchsorted(bins, edges)  # first bin at or above each edge
        self._first, self._end = int(starts[0]), int(starts[-1])
        interval = np.searchsorted(edges, bins[self._first : self._end], side="right") - 1
        inside = np.arange(self._first, self._end)
        padded = np.vstack([np.zeros(filters.shape[1]), filters, np.zeros(filters.shape[1])])
        self._falling = padded[interval, inside].astype(np.float32)
        self._rising = padded[interval + 1, inside].astype(np.float32)
        self._filled = np.flatnonzero(np.diff(starts))  # a narrow band can hold no bin
        self._starts = starts[self._filled] - self._first
        self._n_mels = len(filters)

    def sum(self, power: NDArray[np.float32], *, out: NDArray[np.float32]) -> None:
        """Sum power (n, 1 + n_fft / 2) over the bands into out (n, n_mels)."""
        power = power[:, self._first : self._end]
        np.add(
            self._by_interval(power * self._rising)[:, :-1], self._by_interval(power * self._falling)[:, 1:], out=out
        )

    def _by_interval(self, weighted: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum (n, bins in use) between neighbouring edges to (n, n_mels + 1)."""
        sums: NDArray[np.float32] = np.add.reduceat(weighted, self._starts, axis=1)
        if len(self._filled) == self._n_mels + 1:
            return sums
        every = np.zeros((len(weighted), self._n_mels + 1), np.float32)
        every[:, self._filled] = sums
        return every
