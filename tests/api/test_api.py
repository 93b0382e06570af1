"""The Python interface: its documented example runs, its types are seen from outside, and importing it is cheap."""

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import genrewatch
from genrewatch.programme import SAMPLE_RATE, item

OUTSIDE = """
import numpy as np
import genrewatch
from genrewatch import Classification, Pipeline, SegmentResult, classify, classify_file, listen, open_bundle

pipeline: Pipeline = open_bundle()
found: Classification = classify(np.zeros(100), 22_050, pipeline)
genre: str | None = classify_file("song.flac", pipeline).verdict.genre
for result in listen("demo:", pipeline):
    segment: SegmentResult = result
reveal_type(open_bundle)
reveal_type(listen)
classify("not samples", pipeline)
"""


@pytest.fixture(scope="module")
def pipeline() -> genrewatch.Pipeline:
    return genrewatch.open_bundle()


@pytest.fixture(scope="module")
def jazz() -> np.ndarray:
    return item("swing")[: 24 * SAMPLE_RATE]


def test_the_example_of_the_package_runs():
    assert doctest.testmod(genrewatch).attempted > 3
    assert doctest.testmod(genrewatch).failed == 0


def test_every_public_name_is_there():
    for name in genrewatch.__all__:
        assert getattr(genrewatch, name) is not None
    assert set(genrewatch.__all__) == set(dir(genrewatch))
    with pytest.raises(AttributeError, match="no attribute 'clasify'"):
        genrewatch.clasify  # noqa: B018


def test_an_array_a_file_and_a_stream_give_the_same_results(tmp_path, pipeline, jazz):
    import soundfile

    path = tmp_path / "jazz.wav"
    soundfile.write(path, jazz, SAMPLE_RATE, subtype="FLOAT")
    array = genrewatch.classify(jazz, SAMPLE_RATE, pipeline)
    file = genrewatch.classify_file(path, pipeline)
    stream = tuple(genrewatch.listen(f"file:{path}?pace=max", pipeline))
    assert array.verdict == file.verdict
    assert array.verdict.genre == "jazz"
    assert [r.verdict for r in array.segments] == [r.verdict for r in file.segments] == [r.verdict for r in stream]


def test_what_cannot_be_samples_is_one_clear_line(pipeline):
    with pytest.raises(genrewatch.DataError, match=r"samples: found shape \(2, 3\), expected \(n,\), one channel"):
        genrewatch.classify(np.zeros((2, 3)), 22_050, pipeline)
    with pytest.raises(genrewatch.DataError, match="sample_rate: found 0"):
        genrewatch.classify(np.zeros(3), 0, pipeline)


def test_a_clip_that_is_too_short_has_no_genre(pipeline):
    short = genrewatch.classify(np.ones(1000), 22_050, pipeline)
    assert short.verdict.genre is None
    assert short.segments == ()


def test_a_stream_that_is_left_is_closed(pipeline):
    command = f'{sys.executable} -c "import sys; [sys.stdout.buffer.write(bytes(44100)) for _ in iter(int, 1)]"'
    results = genrewatch.listen(f"cmd:{command}?rate=22050", pipeline)
    assert next(results).verdict.genre is None
    results.close()
    assert subprocess.run(["pgrep", "-P", str(__import__("os").getpid()), "-f", "iter.int"]).returncode == 1


def test_types_are_found_from_outside(tmp_path):
    program = tmp_path / "outside.py"
    program.write_text(OUTSIDE)
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(program), "--cache-dir", str(tmp_path / "cache")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    lines = run.stdout.splitlines()
    assert any("PathLike[" in line and "-> genrewatch.inference.pipeline.Pipeline" in line for line in lines), (
        run.stdout
    )
    assert any("Iterator[genrewatch.inference.pipeline.SegmentResult]" in line for line in lines), run.stdout
    errors = [line for line in lines if ": error:" in line]
    assert len(errors) == 1, run.stdout  # the last line lacks an argument
    assert all(f"outside.py:{OUTSIDE.count(chr(10))}" in line for line in errors), run.stdout


def test_importing_the_package_loads_nothing_heavy():
    program = "import sys, genrewatch; print([m for m in ('numpy', 'paho', 'genrewatch.api') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
    assert (Path(genrewatch.__file__).parent / "py.typed").is_file()
