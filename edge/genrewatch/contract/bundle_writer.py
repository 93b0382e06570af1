"""Writing a bundle: beside its place, checked as a device would, then renamed into it."""

import io
import json
import shutil
from pathlib import Path

import numpy as np

from genrewatch.contract.bundle import (
    GOLDEN,
    MANIFEST,
    MODEL,
    SUMMARY,
    Bundle,
    GoldenVectors,
    Manifest,
    load_bundle,
    sha256,
)
from genrewatch.contract.decode import encode
from genrewatch.contract.errors import BundleError, os_error_reason
from genrewatch.contract.summary import FeatureSummary, write_summary


def check_replaceable(path: Path) -> None:
    """Raise BundleError unless `path` is free or holds a bundle that may be replaced."""
    if path.exists() and not (path / MANIFEST).is_file():
        raise BundleError(str(path), "exists and is not a bundle", "a new directory, or a bundle to replace")


def write_bundle(
    path: Path, manifest: Manifest, model: bytes, golden: GoldenVectors, summary: FeatureSummary | None = None
) -> Bundle:
    """Write a bundle with the hashes of its files and load it as a device would; raises BundleError.

    The bundle is built beside `path` and renamed into place, so `path` is complete at any time. Other files of a
    bundle that is replaced are kept.
    """
    check_replaceable(path)
    partial, old = (path.with_name(f".{path.name}.{word}") for word in ("partial", "old"))
    try:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
        if path.exists():
            shutil.copytree(path, partial)
        partial.mkdir(parents=True, exist_ok=True)
        for name, content in _contents(manifest, model, golden, summary).items():
            (partial / name).write_bytes(content)
        load_bundle(partial)
        if path.exists():
            path.rename(old)
        partial.rename(path)
    except OSError as exc:
        raise BundleError(str(path), os_error_reason(exc)) from None
    finally:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
    return load_bundle(path)


def _contents(
    manifest: Manifest, model: bytes, golden: GoldenVectors, summary: FeatureSummary | None
) -> dict[str, bytes]:
    """Return the bundle's files by name."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, samples=golden.samples, log_mel=golden.log_mel, posterior=golden.posterior)
    contents = {MODEL: model, GOLDEN: buffer.getvalue()}
    record = encode(manifest)
    record.pop("summary")  # earlier versions refuse the keys
    if manifest.out_of_set is None:
        record.pop("out_of_set")
    if not manifest.vote.unknown:
        record["vote"].pop("unknown")
    if manifest.vote.plain_sharpness is None:
        record["vote"].pop("plain_sharpness")
    if summary is not None:
        contents[SUMMARY], record["summary"] = write_summary(summary), encode(summary.size)
    record["files"] = {name: sha256(content) for name, content in contents.items()}
    contents[MANIFEST] = (json.dumps(record, indent=2, allow_nan=False) + "\n").encode()
    return contents
