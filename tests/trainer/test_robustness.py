"""Conditions of the field change a sound as they claim to, and the command measures a bundle under each."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.sounds import tune, write_wav

from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch_trainer.cli import main
from genrewatch_trainer.evaluation.robustness import ConditionFigures, table
from genrewatch_trainer.evaluation.robustness_conditions import CONDITIONS, noise
from genrewatch_trainer.evaluation.robustness_room import LOUDSPEAKER_M, MICROPHONE_M, decay_s, impulse_response

RATE = 22_050


def changed(name: str, samples: np.ndarray) -> np.ndarray:
    return CONDITIONS[name](samples, RATE, np.random.default_rng(1))


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def sine(hz: float, seconds: float = 2.0) -> np.ndarray:
    return (0.2 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_condition_keeps_length_and_sound_and_is_repeatable(name: str) -> None:
    samples = tune(3, seed=2)[: 3 * RATE]
    found = changed(name, samples)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert abs(len(found) - len(samples)) < 0.2 * RATE
    assert rms(found - found.mean()) > 0.1 * rms(samples - samples.mean())
    assert np.array_equal(found, changed(name, samples))


@pytest.mark.parametrize(
    ("name", "kept_hz", "removed_hz"),
    [
        ("16 kHz", 7000, 9000),
        ("11.025 kHz", 5000, 6500),
        ("8 kHz", 3500, 4500),
        ("telephone band", 1000, 5000),
        ("telephone band", 1000, 100),
        ("AM radio", 1000, 8000),
    ],
)
def test_a_narrow_band_removes_what_lies_outside(name: str, kept_hz: float, removed_hz: float) -> None:
    def power(samples: np.ndarray, hz: float) -> float:
        return float(np.abs(np.fft.rfft(samples * np.hanning(len(samples))))[round(hz * len(samples) / RATE)])

    both = sine(kept_hz) + sine(removed_hz)
    found = changed(name, both)[: len(both)]
    assert power(found, removed_hz) < 0.03 * power(found, kept_hz)


def test_antiphase_channels_are_mixed_as_the_device_mixes_them() -> None:
    samples = tune(4, seed=1)
    assert rms(changed("antiphase", samples)) > 0.9 * rms(samples)


@pytest.mark.parametrize("snr_db", [15.0, 5.0])
def test_noise_has_its_level(snr_db: float) -> None:
    samples = tune(2, seed=1)
    added = noise(samples, RATE, np.random.default_rng(1), snr_db=snr_db) - samples
    assert 20 * np.log10(rms(samples) / rms(added)) == pytest.approx(snr_db, abs=0.1)


@pytest.mark.parametrize("rt60_s", [0.3, 0.5])
def test_the_sound_of_a_room_decays_by_60_db_in_its_reverberation_time(rt60_s: float) -> None:
    response = impulse_response(rt60_s, RATE)
    assert decay_s(response, RATE) == pytest.approx(rt60_s, rel=0.03)
    direct = int(np.argmax(response > 0)) / RATE * 343
    assert direct == pytest.approx(np.linalg.norm(np.subtract(LOUDSPEAKER_M, MICROPHONE_M)), abs=0.02)


def test_gain_control_holds_the_level() -> None:
    loud_and_quiet = np.concatenate([sine(400) * 3, sine(400) / 3])
    found = changed("gain control", loud_and_quiet)
    assert rms(found[RATE : 2 * RATE]) == pytest.approx(rms(found[-RATE // 2 :]), rel=0.3)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    for genre in ("jazz", "rock", "polka"):
        (tmp_path / genre).mkdir()
        write_wav(tmp_path / genre / f"{genre}.0.wav", tune(8, seed=3))
    return tmp_path


def test_the_command_measures_each_condition_on_clips_of_known_genres(
    audio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--condition", "clean", "--condition", "telephone band"]
    assert main(["robustness", str(SHIPPED_BUNDLE), "--audio", str(audio), *chosen, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["condition"] for row in rows] == ["clean", "telephone band"]
    assert all(row["clips"] == 2 and 0 <= row["vote_accuracy"] <= 1 for row in rows)


def test_a_condition_without_a_name_of_its_own_is_refused(audio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robustness", str(SHIPPED_BUNDLE), "--audio", str(audio), "--condition", "submarine"]) == 2
    assert "--condition: found submarine, expected one of clean; " in capsys.readouterr().err


def test_the_table_has_a_line_per_condition() -> None:
    row = ConditionFigures(
        condition="clean",
        clips=10,
        vote_accuracy=0.8,
        mean_accuracy=0.7,
        refused=1,
        verdict_ece=0.05,
        sure=5,
        sure_wrong=1,
    )
    assert table([row]).splitlines()[1].split() == ["clean", "80.0%", "70.0%", "1", "0.050", "1", "of", "5"]
