"""A feature store of a log-mel made elsewhere: GTZAN's, published as 8-bit codes of the compact front end.

codes uint8 (n_clips, n_mels, n_frames)     dB below the clip's loudest cell = codes / 255 * scale_db - scale_db
name, label, scale_db, clip_max_db          absolute power dB re 1.0 = the line above + clip_max_db
"""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import COMPACT, PowerDb
from genrewatch_trainer.data.splits import SplitTable, check_table, read_splits
from genrewatch_trainer.data.store import Store, new_store

ARRAYS = ("codes", "name", "label", "scale_db", "clip_max_db")


def import_logmel(npz: Path, splits: Path | None, store: Path) -> tuple[Store, list[tuple[str, str]]]:
    """Write the clips of `npz` and the schemes of the table `splits` into a new store; raises DataError.

    Returns the store and pairs (clip, earlier clip with exactly the same codes); both are kept, as one track.
    """
    arrays = _read(npz)
    table = read_splits(splits) if splits else SplitTable()
    names, labels = ([str(item) for item in arrays[key]] for key in ("name", "label"))
    check_table(table, dict(zip(names, labels, strict=True)), str(splits))
    duplicates: list[tuple[str, str]] = []
    first: dict[bytes, str] = {}
    with new_store(store, COMPACT, provenance=f"import-logmel {npz.name}", splits=table.schemes) as writer:
        for i, (name, label) in enumerate(zip(names, labels, strict=True)):
            track = first.setdefault(hashlib.sha256(arrays["codes"][i].tobytes()).digest(), name)
            if track != name:
                duplicates.append((name, track))
            power_db = _decibels(arrays["codes"][i], arrays["scale_db"][i], arrays["clip_max_db"][i])
            writer.add(power_db, name=name, label=label, track=track, artist=table.artists.get(name))
    return Store.load(store), duplicates


def _decibels(codes: NDArray[np.uint8], scale_db: np.float32, clip_max_db: np.float32) -> PowerDb:
    """Decode (n_mels, n_frames) codes to (n_frames, n_mels) float32 in dB re 1.0, not below the front end's floor."""
    power_db: PowerDb = codes.T.astype(np.float32) / np.float32(255) * scale_db - scale_db + clip_max_db
    return np.maximum(power_db, np.float32(COMPACT.floor_db))


def _read(npz: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(npz, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in ARRAYS}
    except KeyError as exc:
        raise DataError(str(npz), str(exc).strip("'\""), "arrays " + " ".join(ARRAYS)) from None
    except (OSError, ValueError, zipfile.BadZipFile, AttributeError, TypeError) as exc:
        raise DataError(str(npz), f"cannot be read ({exc})", "an .npz archive") from None
    codes = arrays["codes"]
    if codes.dtype != np.uint8 or codes.ndim != 3 or codes.shape[1] != COMPACT.n_mels:
        raise DataError(f"{npz}: codes", f"found {codes.dtype} {codes.shape}", f"uint8 (clip, {COMPACT.n_mels}, time)")
    if codes.shape[2] < COMPACT.segment_frames:
        raise DataError(f"{npz}: codes", f"found {codes.shape[2]} frames", f"at least {COMPACT.segment_frames}")
    for key in ARRAYS[1:]:
        if arrays[key].shape != (len(codes),):
            raise DataError(f"{npz}: {key}", f"found {arrays[key].shape}", f"({len(codes)},), one a clip")
    for key in ("scale_db", "clip_max_db"):
        if arrays[key].dtype.kind not in "fiu" or not np.isfinite(arrays[key]).all():
            raise DataError(f"{npz}: {key}", f"found {arrays[key].dtype}", "finite numbers")
    return arrays
