"""The demo programme: reproducible, never too loud, cheap to synthesise, and of clearly different sounds."""

import itertools
import subprocess
import sys
import time

import numpy as np
import pytest

from genrewatch.audio.level import level_dbfs
from genrewatch.programme import PROGRAMME, SAMPLE_RATE, item, programme_blocks
from genrewatch.programme.item_specs import ITEM_SPECS

NAMES = [entry.name for entry in PROGRAMME]
SOUNDING = [entry.name for entry in PROGRAMME if entry.kind != "silence"]


@pytest.fixture(scope="module")
def items() -> dict[str, np.ndarray]:
    return {name: item(name) for name in NAMES}


def test_the_programme_lasts_four_to_five_minutes_in_items_of_20_to_35_seconds() -> None:
    assert 240 <= sum(entry.seconds for entry in PROGRAMME) <= 300
    assert all(20 <= entry.seconds <= 35 for entry in PROGRAMME)
    assert len(set(NAMES)) == len(NAMES)
    assert [entry.kind for entry in PROGRAMME].count("music") >= 6
    assert {entry.kind for entry in PROGRAMME} == {"music", "talk", "silence"}


def test_the_blocks_are_the_items_one_after_the_other(items: dict[str, np.ndarray]) -> None:
    whole = np.concatenate(list(programme_blocks()))
    assert whole.tobytes() == np.concatenate([items[name] for name in NAMES]).tobytes()
    assert [entry.samples for entry in PROGRAMME] == [len(items[name]) for name in NAMES]
    assert [entry.seconds * SAMPLE_RATE for entry in PROGRAMME] == pytest.approx([len(items[name]) for name in NAMES])


@pytest.mark.parametrize("block", [1_000, 4_096, 100_000])
def test_every_block_has_the_length_asked_for_and_the_same_samples(block: int, items: dict[str, np.ndarray]) -> None:
    blocks = list(itertools.islice(programme_blocks(block=block), 7 * SAMPLE_RATE // block))
    assert {len(samples) for samples in blocks} == {block}
    assert {samples.dtype for samples in blocks} == {np.dtype(np.float32)}
    assert np.concatenate(blocks).tobytes() == items[NAMES[0]][: len(blocks) * block].tobytes()


def test_samples_depend_only_on_the_seed() -> None:
    first, again, other = (item("talk", seed) for seed in (0, 0, 1))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_silence_is_digital_silence_of_at_least_20_seconds(items: dict[str, np.ndarray]) -> None:
    silent = [items[entry.name] for entry in PROGRAMME if entry.kind == "silence"]
    assert silent
    assert all(len(samples) >= 20 * SAMPLE_RATE and not samples.any() for samples in silent)


@pytest.mark.parametrize("name", SOUNDING)
def test_an_item_is_at_about_minus_20_dbfs_without_clipping_or_holes(name: str, items: dict[str, np.ndarray]) -> None:
    samples = items[name]
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() < 0.95
    level = level_dbfs(samples)
    assert level is not None
    assert -22 < level < -18
    seconds = samples[: len(samples) // SAMPLE_RATE * SAMPLE_RATE].reshape(-1, SAMPLE_RATE)
    assert all((level_dbfs(second) or -200) > -45 for second in seconds)


@pytest.mark.parametrize("name", SOUNDING)
def test_an_item_is_faded_in_and_out(name: str, items: dict[str, np.ndarray]) -> None:
    assert np.abs(items[name][:200]).max() < 0.02
    assert np.abs(items[name][-200:]).max() < 0.02


def test_notes_ring_from_one_bar_into_the_next(items: dict[str, np.ndarray]) -> None:
    jumps = np.abs(np.diff(items["chorale"]))
    bar = ITEM_SPECS["chorale"].bar_samples
    assert jumps[bar - 1 :: bar].max() < np.quantile(jumps, 0.99)  # a note cut off would jump by more


def test_items_sound_different(items: dict[str, np.ndarray]) -> None:
    def octaves(samples: np.ndarray) -> np.ndarray:
        power = np.abs(np.fft.rfft(samples[: 20 * SAMPLE_RATE])) ** 2
        hz = np.fft.rfftfreq(20 * SAMPLE_RATE, 1 / SAMPLE_RATE)
        edges = 40 * 2.0 ** np.arange(9)
        return np.array([10 * np.log10(power[(hz >= a) & (hz < b)].sum()) for a, b in itertools.pairwise(edges)])

    colours = [octaves(items[name]) for name in SOUNDING]
    for (a, first), (b, second) in itertools.combinations(zip(SOUNDING, colours, strict=True), 2):
        assert np.abs(first - second).max() > 3, (a, b)  # dB in one octave at least


def test_bars_are_synthesised_when_due_in_little_time_and_memory() -> None:
    begin = time.process_time()
    assert len(next(programme_blocks())) == 4096
    assert time.process_time() - begin < 0.5
    program = (
        "import resource, time, genrewatch.programme as p\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before, begin = peak(), time.process_time()\n"
        "n = sum(len(block) for block in p.programme_blocks())\n"
        "print(peak() - before, (time.process_time() - begin) / n * p.SAMPLE_RATE)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    grown_kib, share_of_a_core = (float(word) for word in output.split())
    assert grown_kib < 40_000  # 14,000 as measured
    assert share_of_a_core < 0.04  # 0.006 as measured


def test_an_unknown_item_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        item("polka")
