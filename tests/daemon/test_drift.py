"""The share of far music: one odd song does not stand out, a day of other music does; it survives a restart."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.sinks.mqtt_rig import ROCK

from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.out_of_set import OutOfSet
from genrewatch.contract.vote import NOT_MUSIC
from genrewatch.daemon.drift import STANDS_OUT, FarMusic, drift_text
from genrewatch.daemon.kept_drift import DRIFT_KEY, KeptDrift
from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.pipeline import Pipeline

MANIFEST = replace(load_bundle(SHIPPED_BUNDLE).manifest, out_of_set=OutOfSet(threshold=2.0))
PIPELINE = cast(Pipeline, SimpleNamespace(manifest=MANIFEST, vote=MANIFEST.vote))
HOP_S = MANIFEST.vote.segment_hop / ROCK.sample_rate


def played(far: FarMusic, hours: float, distance: float | None, label: str = "rock") -> FarMusic:
    result = replace(ROCK, ballot=replace(ROCK.ballot, label=label, distance=distance))
    for _ in range(round(3600 * hours / HOP_S)):
        far.add(result, PIPELINE)
    return far


def test_there_is_no_figure_before_three_hours_of_music() -> None:
    far = played(FarMusic("m 1"), 2.9, 1.0)
    assert far.share is None
    assert played(played(far, 5, None), 5, 9.0, NOT_MUSIC).share is None  # silence and speech are no music
    assert played(far, 1, 1.0).share == 0


def test_one_odd_song_does_not_stand_out_and_an_evening_of_other_music_does() -> None:
    far = played(played(FarMusic("m 1"), 10, 1.0), 0.1, 9.0)
    assert far.share < 0.03
    assert played(far, 5, 9.0).share > STANDS_OUT
    assert played(far, 48, 1.0).share < 0.05  # and is forgotten


def test_a_model_without_a_limit_has_no_figure() -> None:
    plain = cast(Pipeline, SimpleNamespace(manifest=replace(MANIFEST, out_of_set=None), vote=MANIFEST.vote))
    far = FarMusic("m 1")
    for _ in range(3000):
        far.add(replace(ROCK, ballot=replace(ROCK.ballot, distance=9.0)), plain)
    assert far.share is None


@pytest.mark.parametrize(
    ("band", "channels", "reason"),
    [(None, None, "new music"), ("no sound above 4000 Hz", None, "4000 Hz"), ("narrow", "channel 2 is dead", "dead")],
)
def test_the_line_names_the_most_likely_reason(band: str | None, channels: str | None, reason: str) -> None:
    text = drift_text(0.4, band=band, channels=channels)
    assert text is not None
    assert "40% of the music" in text
    assert reason in text
    assert drift_text(0.1, band=band, channels=channels) is None
    assert drift_text(None, band=band, channels=channels) is None


def states(model: str = "m 1") -> Any:
    return {"mic": SimpleNamespace(far=FarMusic(model))}


def test_it_survives_a_restart_with_the_same_model_and_is_written_once_an_hour(tmp_path: Path) -> None:
    path, before = tmp_path / "memory-box.json", states()
    kept = KeptDrift(lambda: before, PersistentState(path))
    played(before["mic"].far, 0.5, 9.0)
    kept.keep()
    assert not path.exists()
    played(before["mic"].far, 3, 1.0)
    kept.keep()
    again, other = states(), states("m 2")
    KeptDrift(lambda: again, PersistentState(path)).keep()
    assert again["mic"].far.share == pytest.approx(before["mic"].far.share, abs=0.01)
    KeptDrift(lambda: other, PersistentState(path)).keep()
    assert other["mic"].far.music_s == 0


@pytest.mark.parametrize(
    "content", [[], {"mic": 1}, {"mic": {"model": "m 1"}}, {"mic": {"model": "m 1", "far_s": 9, "music_s": 3}}]
)
def test_a_damaged_record_is_not_restored(content: Any) -> None:
    state, found = PersistentState(None), states()
    state.put(DRIFT_KEY, content)
    KeptDrift(lambda: found, state).keep()
    assert found["mic"].far.music_s == 0
