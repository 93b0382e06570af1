"""Bundles with wrong bytes and oversized parts: one line of refusal, and no memory for what is refused."""

import io
import json
import os
import random
import tracemalloc
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from tests.contract.test_bundle import bundle, edit, golden, manifest, npz, refusal, replace_golden  # noqa: F401

from genrewatch.contract.bundle import golden_arrays, load_bundle
from genrewatch.contract.errors import BundleError
from genrewatch.contract.npz import read_npz

LIMIT_BYTES = 30_000_000


def refused_cheaply(path):
    tracemalloc.start()
    message = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LIMIT_BYTES
    return message


def zipped(compression=zipfile.ZIP_DEFLATED, **contents):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def parts():
    vectors = golden()
    return {name: npy(getattr(vectors, name)) for name in ("samples", "log_mel", "posterior")}


def test_an_array_that_expands_to_more_than_its_shape_is_not_expanded(bundle):  # noqa: F811
    whole = parts()
    replace_golden(bundle, zipped(**(whole | {"samples": whole["samples"] + bytes(100_000_000)})))
    assert "golden.npz" in refused_cheaply(bundle)


def test_an_array_is_read_up_to_its_size_even_in_a_small_file():
    whole, arrays = parts(), golden_arrays(manifest())
    content = zipped(**(whole | {"samples": whole["samples"] + bytes(100_000_000)}))
    tracemalloc.start()
    with pytest.raises(BundleError, match="bytes or more"):
        read_npz(content, arrays, where="golden.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LIMIT_BYTES


def test_an_array_of_another_shape_is_not_expanded(bundle):  # noqa: F811
    replace_golden(bundle, zipped(**(parts() | {"samples": npy(np.zeros(50_000_000, np.int16))})))
    assert "golden.npz" in refused_cheaply(bundle)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_without_a_limit_is_refused(bundle, compression):  # noqa: F811
    replace_golden(bundle, zipped(compression, **parts()))
    assert "compressed in another way" in refusal(bundle)


@pytest.mark.parametrize(("name", "size"), [("bundle.json", 10**9), ("model.tflite", 10**10), ("golden.npz", 10**9)])
def test_a_file_that_is_too_large_is_not_read(bundle, name, size):  # noqa: F811
    os.truncate(bundle / name, size)
    assert "expected at most" in refused_cheaply(bundle)


@pytest.mark.parametrize("name", ["bundle.json", "model.tflite", "golden.npz"])
def test_a_fifo_in_the_place_of_a_file_is_not_waited_for(bundle, name):  # noqa: F811
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    assert refusal(bundle) == f"{name}: not a file, expected a file"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "\x1b[2Jevil"},
        {"version": "1\n2"},
        {"labels": ["rock", "pop\x07", "not_music"]},
        {"name": "x" * 1000},
    ],
)
def test_names_that_a_terminal_obeys_or_that_are_too_long_are_refused(bundle, change):  # noqa: F811
    edit(bundle, lambda record: record.update(change))
    message = refusal(bundle)
    assert "printable characters" in message
    assert message.isprintable()


@pytest.mark.parametrize("change", [{"segment_frames": 10**9}, {"n_fft": 2**40}, {"n_mels": 10**9}])
def test_a_front_end_without_measure_is_refused(bundle, change):  # noqa: F811
    edit(bundle, lambda record: record["front_end"].update(change))
    assert refused_cheaply(bundle)


def mutated(data, random_):
    """Change, cut or repeat some bytes."""
    data = bytearray(data)
    for _ in range(random_.choice((1, 2, 8))):
        place = random_.randrange(len(data))
        kind = random_.randrange(4)
        if kind == 0:
            data[place] = random_.randrange(256)
        elif kind == 1:
            del data[place : place + random_.randrange(1, 50)]
        elif kind == 2:
            data[place:place] = data[place : place + random_.randrange(1, 50)]
        else:
            data[place : place + 4] = random_.choice((b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f"))
    return bytes(data) or b"x"


@pytest.mark.parametrize("rounds", [150, pytest.param(3000, marks=pytest.mark.slow)])
def test_no_wrong_bytes_of_golden_npz_get_through(bundle, rounds):  # noqa: F811
    random_, vectors = random.Random(2), golden()
    arrays = {name: getattr(vectors, name) for name in ("samples", "log_mel", "posterior")}
    originals = [npz(**arrays), zipped(**parts())]
    for _ in range(rounds):
        replace_golden(bundle, mutated(random_.choice(originals), random_))
        with suppress(BundleError):
            load_bundle(bundle)


@pytest.mark.parametrize("rounds", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_no_wrong_bytes_of_bundle_json_get_through(bundle, rounds):  # noqa: F811
    random_, original = random.Random(3), (bundle / "bundle.json").read_bytes()
    for _ in range(rounds):
        (bundle / "bundle.json").write_bytes(mutated(original, random_))
        with suppress(BundleError):
            load_bundle(bundle)


@pytest.mark.parametrize("rounds", [300, pytest.param(3000, marks=pytest.mark.slow)])
def test_no_wrong_value_of_bundle_json_gets_through(bundle, rounds):  # noqa: F811
    random_, original = random.Random(4), (bundle / "bundle.json").read_text()
    values = [None, True, -1, 0, 2**63, 1e308, "", "\x1b", [], {}, [[]], "x" * 5000]
    for _ in range(rounds):
        record = json.loads(original)
        table = random_.choice([record, record["front_end"], record["vote"], record["input"], record["files"]])
        table[random_.choice(list(table))] = random_.choice(values)
        (bundle / "bundle.json").write_text(json.dumps(record))
        with suppress(BundleError):
            load_bundle(bundle)
