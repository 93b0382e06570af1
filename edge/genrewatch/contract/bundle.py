"""A bundle: the model directory that the exporter writes and a device loads.

    bundle.json     labels, front end, vote defaults, tensors, temperature, sha256 of each file, metrics, provenance
    model.tflite    segment (1, segment_frames, n_mels, 1) -> logits (1, n_labels)
    golden.npz      samples int16, log_mel float32, posterior float32: a segment and its expected results
    summary.npz     if there is one: centres of the features that the head was fitted on, for `genrewatch-train adapt`

Loading is strict: every field is checked; an unknown key or a file with another hash is refused.
"""

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.decode import decode, read_json
from genrewatch.contract.errors import BundleError, os_error_reason, require
from genrewatch.contract.front_end import FrontEndConfig, LogMel, Samples
from genrewatch.contract.npz import max_npz_bytes, read_npz
from genrewatch.contract.out_of_set import OutOfSet
from genrewatch.contract.summary import FeatureSummary, SummarySize, read_summary
from genrewatch.contract.verdict_text import HOME_ASSISTANT_STATES
from genrewatch.contract.vote import NOT_MUSIC, SILENCE, VoteConfig

FORMAT = 1
MANIFEST, MODEL, GOLDEN, SUMMARY = "bundle.json", "model.tflite", "golden.npz", "summary.npz"
PreFilter = Literal["none", "highpass-1"]
"""What is done to the samples before the front end; `highpass-1` takes off what lies below 24 Hz."""
MAX_MANIFEST_BYTES, MAX_MODEL_BYTES = 1_000_000, 100_000_000
MAX_SEGMENT_S = 120
MAX_CELLS = 10_000_000
"""Limit of the cells of a log-mel; the largest front end in use has 84,480."""
MAX_LABELS = 10_000
MAX_NAME = 200
RESERVED_LABELS = (SILENCE, *HOME_ASSISTANT_STATES)


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output tensor of the network."""

    shape: tuple[int, ...]
    """Sizes; the first is the batch, 1."""
    dtype: Literal["int8", "float32"]
    """Number format."""
    scale: float | None
    """Quantization step; None for float32."""
    zero_point: int | None
    """Integer that represents 0.0; None for float32."""

    def __post_init__(self) -> None:
        quantized = self.dtype == "int8"
        require(
            (self.scale is not None and self.scale > 0) == quantized,
            "scale",
            self.scale,
            "a step for int8, null for float32",
        )
        require(
            (self.zero_point is not None) == quantized,
            "zero_point",
            self.zero_point,
            "an integer for int8, null for float32",
        )


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A confidence limit above which verdicts reach a given accuracy, measured on validation clips."""

    accuracy: float
    """Share of verdicts that are right, such as 0.9."""
    confidence: float | None
    """The lowest confidence that reaches `accuracy`; None if no confidence does."""
    coverage: float | None
    """Share of the clips at or above `confidence`; None if there is no such confidence."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The contents of `bundle.json`."""

    format: int
    """Version of the bundle format."""
    name: str
    """Name of the model in payloads, such as `gtzan-compact`."""
    version: str
    """Version of the model."""
    labels: tuple[str, ...]
    """Labels in the order of the network's outputs."""
    front_end: FrontEndConfig
    """Geometry and scaling of the log-mel."""
    vote: VoteConfig
    """Defaults of the vote."""
    temperature: float
    """Logits are divided by this before the softmax; fitted on validation data through the quantized model."""
    input: Tensor
    """The log-mel tensor."""
    output: Tensor
    """The logits tensor."""
    files: dict[str, str]
    """sha256 (hexadecimal) of each file beside the manifest."""
    pre_filter: PreFilter = "none"
    """Version of the filter before the front end; bundles made before there was one have `none`."""
    summary: SummarySize | None = None
    """Sizes of `summary.npz`; None where there is none."""
    out_of_set: OutOfSet | None = None
    """Limit of the music that gets a genre where `vote.unknown` is set, by the centres in the summary."""
    thresholds: tuple[Threshold, ...] = ()
    """Suggested limits for `confidence`, for automations."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Measured figures; not used by the device."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Origin of the weights; not used by the device."""

    def __post_init__(self) -> None:
        require(self.format == FORMAT, "format", self.format, f"{FORMAT}")
        require(2 <= len(self.labels) <= MAX_LABELS, "labels", f"{len(self.labels)} of them", f"2 to {MAX_LABELS}")
        require(len(set(self.labels)) == len(self.labels), "labels", "a label twice", "different labels")
        for label in self.labels:
            require(label not in RESERVED_LABELS and label != "", "labels", repr(label), "no reserved word")
            require(_is_name(label), "labels", f"{label[:MAX_NAME]!a}", f"at most {MAX_NAME} printable characters")
        require(0.01 <= self.temperature <= 100, "temperature", self.temperature, "0.01 to 100")
        require(self.name != "", "name", "nothing", "a name")
        for key, text in (("name", self.name), ("version", self.version)):
            require(_is_name(text), key, f"{text[:MAX_NAME]!a}", f"at most {MAX_NAME} printable characters")
        self._check_size()
        self.vote.check_geometry(hop_length=self.front_end.hop_length, segment_samples=self.front_end.segment_samples)
        self._check_tensors()
        files = [GOLDEN, MODEL, SUMMARY][: 3 if self.summary else 2]
        require(sorted(self.files) == files, "files", sorted(self.files), " and ".join(files))

    def _check_size(self) -> None:
        """Bound what the front end allocates."""
        config, longest = self.front_end, MAX_SEGMENT_S * self.front_end.sample_rate
        require(
            config.segment_samples <= longest, "front_end", f"{config.segment_samples} samples", f"at most {longest}"
        )
        cells = config.n_mels * max(config.segment_frames, config.n_fft)
        require(cells <= MAX_CELLS, "front_end", f"{cells} cells", f"at most {MAX_CELLS}")

    def _check_tensors(self) -> None:
        log_mel = (1, self.front_end.segment_frames, self.front_end.n_mels, 1)
        logits = (1, len(self.labels))
        require(self.input.shape == log_mel, "input.shape", list(self.input.shape), str(list(log_mel)))
        require(self.output.shape == logits, "output.shape", list(self.output.shape), str(list(logits)))

    @property
    def genres(self) -> tuple[str, ...]:
        """The labels without `not_music`."""
        return tuple(label for label in self.labels if label != NOT_MUSIC)


@dataclass(frozen=True, kw_only=True)
class GoldenVectors:
    """One segment, as it is after the pre-filter, with its expected log-mel and posterior."""

    samples: NDArray[np.int16]
    """(segment_samples,)"""
    log_mel: LogMel
    """(segment_frames, n_mels) in [0, 1]"""
    posterior: NDArray[np.float32]
    """(n_labels,)"""

    @property
    def waveform(self) -> Samples:
        """(segment_samples,) float32 in [-1, 1)."""
        return self.samples.astype(np.float32) / np.float32(32768)


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A loaded and checked bundle."""

    manifest: Manifest
    model: bytes
    golden: GoldenVectors
    path: Path
    summary: FeatureSummary | None = None


def _is_name(text: str) -> bool:
    return len(text) <= MAX_NAME and text.isprintable()


def load_bundle(path: Path) -> Bundle:
    """Read and check a bundle directory; BundleError names the file and the key."""
    if not os.path.isdir(path):  # Path.is_dir raises PermissionError
        raise BundleError(str(path), "no such directory", "a bundle")
    where = path / MANIFEST
    _check_size(where, MAX_MANIFEST_BYTES)
    manifest = decode(Manifest, read_json(where, error=BundleError), where=str(where), error=BundleError)
    model = _read(path / MODEL, manifest.files[MODEL], MAX_MODEL_BYTES)
    arrays = golden_arrays(manifest)
    content = _read(path / GOLDEN, manifest.files[GOLDEN], max_npz_bytes(arrays))
    golden = GoldenVectors(**read_npz(content, arrays, where=str(path / GOLDEN)))
    return Bundle(manifest=manifest, model=model, golden=golden, path=path, summary=_summary(path, manifest))


def _summary(path: Path, manifest: Manifest) -> FeatureSummary | None:
    size = manifest.summary
    if size is None:
        return None
    content = _read(path / SUMMARY, manifest.files[SUMMARY], size.max_bytes)
    return read_summary(content, size, len(manifest.labels), where=str(path / SUMMARY))


def golden_arrays(manifest: Manifest) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and type of each array of the golden vectors."""
    front_end = manifest.front_end
    return {
        "samples": ((front_end.segment_samples,), "int16"),
        "log_mel": ((front_end.segment_frames, front_end.n_mels), "float32"),
        "posterior": ((len(manifest.labels),), "float32"),
    }


def sha256(content: bytes) -> str:
    """Return the hexadecimal SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def _read(path: Path, digest: str, max_bytes: int) -> bytes:
    """Read a file of at most `max_bytes` with this hash; BundleError for any other."""
    size = _check_size(path, max_bytes)
    try:
        with path.open("rb") as file:
            content = file.read(size + 1)  # `read` allocates what it may return
    except OSError as exc:
        raise BundleError(str(path), os_error_reason(exc)) from None
    if sha256(content) != digest:
        raise BundleError(
            str(path),
            f"{len(content)} bytes with sha256 {sha256(content)[:12]}",
            f"{digest[:12]}: truncated or altered",
        )
    return content


def _check_size(path: Path, max_bytes: int) -> int:
    """Return the size of a file; BundleError if it is too large or no file: reading a FIFO could wait for ever."""
    try:
        status = os.stat(path)
    except OSError as exc:
        raise BundleError(str(path), os_error_reason(exc)) from None
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(str(path), "not a file", "a file")
    if status.st_size > max_bytes:
        raise BundleError(str(path), f"{status.st_size} bytes", f"at most {max_bytes}")
    return status.st_size
