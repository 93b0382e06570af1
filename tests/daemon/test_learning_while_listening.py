"""The whole way of a correction: over MQTT into the history, into a new head, into the running daemon, and back."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.daemon.test_keeping import LONGEST_S, broker, checked, health_until, kept, listening, player, watcher

__all__ = ["broker", "watcher"]  # fixtures
OWN_LABEL = "Tänze, neu"


def genrewatch(tmp_path: Path, *arguments: str, code: int = 0) -> str:
    """Run a command on the state directory of the daemon."""
    command = [sys.executable, "-m", "genrewatch", *arguments]
    environment = {**os.environ, "GENREWATCH_STATE": str(tmp_path / "state")}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST_S)
    assert answer.returncode == code, answer.stdout + answer.stderr
    return answer.stdout


def tunes_until(tmp_path: Path, count: int) -> list[dict]:
    """Return the spells of the tune, which the shipped model takes for not music, once each source has `count`."""
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        records = kept(tmp_path)
        tunes = [record for record in records if record.get("kind") != "correction" and record["reason"] == "not_music"]
        if all(sum(record["source"] == source for record in tunes) >= count for source in "abc"):
            return tunes
        time.sleep(0.3)
    raise AssertionError([(record["source"], record["genre"], record["reason"]) for record in records])


@pytest.mark.slow
def test_a_listener_corrects_the_daemon_learns_and_everything_can_be_undone(tmp_path, broker, watcher):
    sources = [player(tmp_path, name) for name in "abc"]
    with listening(tmp_path, broker.url, *sources, mqtt="corrections = true", more="features = 4"):
        watcher.until(lambda seen: seen.topic.endswith("/history"), LONGEST_S)
        for record in tunes_until(tmp_path, 4):
            command = {"seq": record["seq"], "label": OWN_LABEL}
            watcher.publish(f"genrewatch/box/{record['source']}/correct/set", json.dumps(command))
        correction = watcher.until(lambda seen: seen.topic.endswith("/correction"), LONGEST_S)
        assert checked(correction) == "correction"
        assert json.loads(correction.payload)["label"] == OWN_LABEL
        health_until(watcher, lambda health: health["history"]["waiting"] == 0)

        learned = genrewatch(tmp_path, "learn", "--node", "box", "--max-loss", "100", "--min-gain", "50")
        assert "learned-1 is chosen" in learned
        state = watcher.until(lambda seen: seen.topic.endswith("/state") and '"learned-1"' in seen.payload, LONGEST_S)
        assert checked(state) == "state"
        announced = f'"genre":{json.dumps(OWN_LABEL, ensure_ascii=False)}'
        watcher.until(lambda seen: seen.topic.endswith("/state") and announced in seen.payload, LONGEST_S)

        genrewatch(tmp_path, "bundle", "use", "shipped", "--node", "box")
        watcher.until(
            lambda seen: seen.topic.endswith("/state") and '"model":"gtzan-compact"' in seen.payload, LONGEST_S
        )
    genrewatch(tmp_path, "history", "verify", "--node", "box")
    assert OWN_LABEL in genrewatch(tmp_path, "history", "--corrected", "--node", "box")
