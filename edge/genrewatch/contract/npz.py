"""Reading of npz files whose arrays are known beforehand.

Nothing larger than these arrays is expanded, and no pickled object is loaded.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from math import prod
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genrewatch.contract.errors import BundleError

MAX_HEADER_BYTES = 1_000
"""Limit of the header of an array, which has about 128 bytes."""
OVERHEAD_BYTES = 4_096
"""Limit of the zip directory and the headers of one array."""
READ_ERRORS = (
    *(OSError, EOFError, KeyError, TypeError, ValueError, NotImplementedError, RuntimeError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, SyntaxError, MemoryError, UnicodeError),
)
"""Exceptions of zipfile and of numpy at wrong contents."""

Arrays = Mapping[str, tuple[tuple[int, ...], str]]
"""Shape and type of each array."""


def max_npz_bytes(arrays: Arrays) -> int:
    """Return the limit of the size of a file with these arrays; compression makes none larger by a hundredth."""
    return sum(_array_bytes(*array) * 101 // 100 + OVERHEAD_BYTES for array in arrays.values())


def read_npz(content: bytes, arrays: Arrays, *, where: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of an npz file; BundleError for any other content, before it is expanded."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.getinfo(f"{name}.npy") for name in arrays}
            return {
                name: _read_array(archive, members[name], *arrays[name], where=f"{where}: {name}") for name in arrays
            }
    except READ_ERRORS as exc:
        raise BundleError(where, f"cannot be read ({exc})", f"an npz with {', '.join(arrays)}") from None


def _read_array(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, shape: tuple[int, ...], dtype: str, *, where: str
) -> NDArray[Any]:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others expand without a limit
        raise ValueError(f"{member.filename} is compressed in another way than numpy does")
    n_bytes = _array_bytes(shape, dtype)
    with archive.open(member) as file:
        found_shape, fortran, found_dtype = _read_header(file)
        found, expected = f"{found_dtype} {list(found_shape)}", f"{dtype} {list(shape)}"
        if found_dtype.hasobject:
            raise ValueError(f"{member.filename} holds pickled objects")
        if found != expected or fortran:
            raise BundleError(where, f"found {found}", expected)
        data = file.read(n_bytes + 1)
    if len(data) != n_bytes:
        raise BundleError(where, f"found {len(data)} bytes or more", f"{n_bytes}")
    return np.frombuffer(data, found_dtype).reshape(shape).copy()


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    if version == (1, 0):
        return npy.read_array_header_1_0(file, max_header_size=MAX_HEADER_BYTES)
    return npy.read_array_header_2_0(file, max_header_size=MAX_HEADER_BYTES)


def _array_bytes(shape: tuple[int, ...], dtype: str) -> int:
    return prod(shape) * np.dtype(dtype).itemsize
