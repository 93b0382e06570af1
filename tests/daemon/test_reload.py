"""A reload of the real daemon: what has not changed goes on without a gap, a wrong file changes nothing."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys

import pytest
from tests.daemon.guard_rig import Kept, Playing, pipeline, running, until
from tests.daemon.reload_rig import player, running_daemon
from tests.servers import Watcher

from genrewatch.daemon.reload import Reconfiguration
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.sinks.sink import SourceInfo
from genrewatch_drill.servers.mosquitto import Mosquitto

HOOK = '[[hook]]\non = ["test"]\ncommand = "true"\n'


def without_gap(segments):
    """Whether the segments are of one stream, with nothing lost."""
    starts = [segment["start_s"] for segment in segments]
    return starts == sorted(starts) and {segment["lost_s"] for segment in segments} == {0.0}


def test_an_unchanged_source_goes_on_without_a_gap_while_others_come_change_and_go(tmp_path):
    with running_daemon(tmp_path, player("kept"), player("other")) as daemon:
        daemon.until_more("kept", 1)
        answer = daemon.reload(player("kept", name="Kitchen"), player("new"), HOOK)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert answer.stdout.splitlines() == ["sources, new: new", "sources, removed: other", "hooks"]
        daemon.until_more("new", 1)
        answer = daemon.reload(player("kept"), player("new", stall_s=9.0))
        assert answer.stdout.splitlines() == ["sources, opened again: new", "hooks"]
        daemon.until_more("kept")
        assert without_gap(daemon.segments("kept"))
        assert daemon.process.poll() is None
    spells = sqlite3.connect(tmp_path / "state" / "history-box.db").execute(
        "select seq, source from spells order by seq"
    )
    rows = spells.fetchall()
    assert [seq for seq, _ in rows] == list(range(1, len(rows) + 1))
    assert {"kept", "other", "new"} == {source for _, source in rows}


@pytest.mark.slow
def test_a_wrong_file_changes_nothing_and_says_so(tmp_path):
    with running_daemon(tmp_path, player("kept")) as daemon:
        daemon.until_more("kept", 1)
        answer = daemon.reload(player("kept"), player("other", uri="nothing:here"))
        assert answer.returncode == 2
        assert "nothing:here: not a source" in answer.stderr
        assert "reload refused, the configuration of before stays in use" in daemon.log
        unknown = daemon.reload(player("kept", expected_genres=["polka"]))
        assert unknown.returncode == 2
        assert "config.toml: source[0].expected_genres" in unknown.stderr
        daemon.until_more("kept", 1)
        assert without_gap(daemon.segments("kept"))


@pytest.mark.slow
def test_another_vote_begins_with_the_next_segment_and_loses_no_sound(tmp_path):
    with running_daemon(tmp_path, player("kept"), player("other")) as daemon:
        daemon.until_more("kept")
        answer = daemon.reload(player("kept", vote={}).replace("vote = {}", "vote.segments = 5"), player("other"))
        assert answer.stdout.splitlines() == ["sources, other vote or level: kept"]
        daemon.until_more("kept")
        daemon.until_more("other", 1)
        assert without_gap(daemon.segments("other"))
        assert {segment["lost_s"] for segment in daemon.segments("kept")} == {0.0}


@pytest.mark.slow
def test_what_takes_effect_at_the_next_start_only_is_named(tmp_path):
    with running_daemon(tmp_path, player("kept")) as daemon:
        answer = daemon.reload("health_s = 20.0\n", player("kept"), "[history]\nkeep_days = 3\n")
        assert answer.returncode == 0
        assert answer.stdout.splitlines()[-1] == "takes effect at the next start: history"


@pytest.mark.slow
def test_the_broker_sees_sources_go_and_come_and_connects_again_only_for_its_own_settings(tmp_path):
    with Mosquitto(tmp_path / "broker") as broker, Watcher(broker.port) as watcher:
        mqtt = f'url = "{broker.url}"\n'
        with running_daemon(tmp_path, player("kept"), player("other"), mqtt=mqtt) as daemon:
            watcher.until(lambda seen: seen.topic == "homeassistant/device/box/other/config", 30)
            daemon.until_more("kept", 1)
            daemon.reload(player("kept"), player("new"), mqtt=mqtt)
            watcher.until(lambda seen: seen.topic == "homeassistant/device/box/other/config" and not seen.payload)
            watcher.until(lambda seen: seen.topic == "homeassistant/device/box/new/config" and seen.payload)
            watcher.until(lambda seen: seen.topic == "genrewatch/box/new/availability" and seen.payload == "online")
            assert connections(watcher) == 1
            daemon.reload(player("kept"), player("new"), mqtt=mqtt + 'device_name = "Bar"\nheartbeat_s = 1\n')
            watcher.until(lambda seen: seen.topic == "genrewatch/box/status" and seen.payload == "offline")
            watcher.until(lambda seen: seen.topic == "genrewatch/box/status" and seen.payload == "online")
            assert "Bar" in watcher.until(lambda seen: seen.topic == "homeassistant/device/box/config").payload
            assert connections(watcher) == 2
            seen = watcher.settled()
            assert not [one for one in seen if one.topic.endswith("/event")]
            assert without_gap(daemon.segments("kept"))
        with Watcher(broker.port) as late:
            retained = {seen.topic for seen in late.settled() if seen.retain}
        assert not [topic for topic in retained if "/other/" in topic]
        numbers = [one["seq"] for one in map(json.loads, history(watcher))]
        assert numbers == sorted(set(numbers))


def test_a_refused_configuration_is_a_problem_until_a_good_one_is_loaded():
    source, kept = Playing("a"), Kept()
    with running(source, sinks=[kept]) as run:
        answers = []

        def prepare():
            raise ValueError("a defect")

        run.daemon.reload_with(prepare, answers.append)
        run.daemon.reload()
        until(lambda: answers)
        assert "a defect of genrewatch (ValueError)" in answers[0].refused
        assert any("the new configuration is refused" in line for line in run.daemon.health()["degraded"])


def test_a_source_that_does_not_end_is_reported_as_gone_and_never_again():
    class Deaf(Playing):
        def close(self):
            pass

    kept, deaf, new = Kept(), Deaf("a"), Playing("a")
    with running(Playing("b"), deaf, sinks=[kept]) as run:
        until(lambda: ("a", True, "sound arrives") in kept.online)
        setups = [SourceSetup(source=source, pipeline=pipeline(), name=source.id) for source in (Playing("b"), new)]
        infos = {source_id: SourceInfo(name=source_id, kind="cmd") for source_id in ("b", "a")}
        change = Reconfiguration(setups=setups, kept=["b"], sources=infos, health_s=60, heartbeat_s=0.05)
        run.daemon._commands.put(lambda: run.daemon.reconfigure(change))
        until(lambda: kept.online.count(("a", True, "sound arrives")) == 2)
        assert kept.online.count(("a", False, "removed from the configuration")) == 1
        Playing.close(deaf)
        until(lambda: new.played > 5)
        assert kept.online[-1] == ("a", True, "sound arrives")


@pytest.mark.slow
def test_a_terminal_that_goes_ends_the_daemon(tmp_path):
    master, slave = pty.openpty()
    with running_daemon(
        tmp_path, player("kept"), stdin=slave, start_new_session=True, preexec_fn=controlling
    ) as daemon:
        os.close(slave)
        os.kill(daemon.process.pid, signal.SIGHUP)
        daemon.until_more("kept", 1)
        assert daemon.process.poll() is None
        os.close(master)
        assert daemon.process.wait(20) == 0


def test_reload_without_a_daemon_is_one_line_and_exit_code_2(tmp_path):
    environment = {**os.environ, "GENREWATCH_STATE": str(tmp_path)}
    command = [sys.executable, "-m", "genrewatch", "reload"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 2
    assert "no daemon runs here" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def controlling():
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def connections(watcher):
    seen = watcher.until(lambda seen: seen.topic == "genrewatch/box/health", 60)
    return json.loads(seen.payload)["mqtt"]["connections"]


def history(watcher):
    return [seen.payload for seen in watcher.settled() if seen.topic.endswith("/history")]
