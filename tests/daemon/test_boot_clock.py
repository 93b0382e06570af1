"""The real daemon on a box that boots in 1970, loses its power, and has its clock set some time after the next boot."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.servers import Watcher

from genrewatch.cli import main
from genrewatch.history.database import database_path
from genrewatch.history.reader import HistoryReader, Selection
from genrewatch.host.times import rfc3339_to_ms
from genrewatch_drill.fakes import clock
from genrewatch_drill.servers.mosquitto import Mosquitto

BOOTED_S = 9


class Box:
    """Daemons of one node that see the same wall clock."""

    def __init__(self, directory: Path, broker: Mosquitto) -> None:
        self._file, self.state = directory / "clock", directory / "state"
        config = directory / "listen.toml"
        config.write_text('health_s = 1.0\n[history]\nsave_s = 0.3\n[[source]]\nuri = "demo:?loop=yes&pace=max"\n')
        self._command = [sys.executable, "-m", "genrewatch", "listen", "--config", str(config), "--mqtt", broker.url]
        self._command += ["--node", "box", "--web", "none"]
        self._environment = {
            **os.environ,
            "GENREWATCH_STATE": str(self.state),
            "FAKE_CLOCK": str(self._file),
            "PYTHONPATH": str(Path(clock.__file__).parent),
        }

    def set_clock(self, ahead_s: int) -> None:
        """Set the wall clock ahead of the machine's."""
        new = self._file.with_suffix(".new")
        new.write_text(str(ahead_s))
        new.replace(self._file)

    def boot(self) -> "subprocess.Popen[bytes]":
        """Start the daemon in 1970."""
        self.set_clock(BOOTED_S - round(time.time()))
        return subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def records(self) -> list[dict]:
        """All stored records."""
        reader = HistoryReader(database_path(self.state, "box"))
        found = [record for page in reader.pages(Selection()) for record in page]
        reader.close()
        return found


def health_until(watcher: Watcher, condition) -> dict:
    """The first health for which a condition on its history and its problems holds."""
    seen = watcher.until(
        lambda seen: (
            seen.topic == "genrewatch/box/health"
            and condition((health := json.loads(seen.payload))["history"], " ".join(health["degraded"]))
        ),
        40,
    )
    return json.loads(seen.payload)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a fake clock by sitecustomize, as the drill has it")
def test_spells_from_1970_survive_a_power_cut_and_get_their_time_when_the_clock_is_set(tmp_path, capsys):
    with Mosquitto(tmp_path / "broker") as broker, Watcher(broker.port) as watcher:
        box = Box(tmp_path, broker)
        cut = box.boot()
        waiting = health_until(watcher, lambda history, problems: history["unsaved"] >= 3)
        assert waiting["history"]["stored"] == 0
        assert any("the clock is not set (1970-01-01T00:00:" in line for line in waiting["degraded"])
        time.sleep(0.7)
        cut.kill()
        cut.wait()
        daemon, booted_ms = box.boot(), time.time() * 1000
        after = health_until(watcher, lambda history, problems: history["stored"] >= 3 and history["unsaved"] >= 2)
        kept = after["history"]["stored"]
        box.set_clock(0)
        health_until(watcher, lambda history, problems: history["stored"] >= kept + 2 and "clock" not in problems)
        daemon.terminate()
        assert daemon.wait(10) == 0
    records = box.records()
    assert {record["start"][:4] for record in records[:kept]} == {"1970"}
    assert sum(record["interrupted"] for record in records) == 1
    for record in records[kept:]:
        start_ms, end_ms = rfc3339_to_ms(record["start"]), rfc3339_to_ms(record["end"])
        assert booted_ms - 1000 <= start_ms <= end_ms <= time.time() * 1000 + 1000
        assert abs((end_ms - start_ms) / 1000 - (record["mono_end_s"] - record["mono_start_s"])) < 0.1
    assert main(["history", "verify", "--state", str(box.state)]) == 0
    assert main(["report", "--state", str(box.state)]) == 0
    assert f"{kept} spells" in capsys.readouterr().err
