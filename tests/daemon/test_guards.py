"""A defect planted in each kind of thread: it is logged once, the part goes on or the daemon ends with 1."""

import threading
import time

from tests.daemon.guard_rig import LONGEST_S, Kept, Playing, running, until

from genrewatch.contract.errors import SourceError
from genrewatch.daemon import source_runner, watchdog
from genrewatch.daemon.listening_hours import ListeningHours
from genrewatch.daemon.source_runner import SourceRunner
from genrewatch.host.persistent_state import PersistentState
from genrewatch.sinks.sink import Sink

DEFECT = "a defect of genrewatch (ZeroDivisionError), see the log"


def tracebacks(caplog):
    return [record.getMessage() for record in caplog.records if record.exc_info]


class Broken(Sink):
    """A sink all of whose methods have a defect."""

    def _fail(self, *_, **__):
        raise ZeroDivisionError

    on_stream = on_availability = on_disabled = on_result = on_duration = on_health = on_stalled = _fail
    diagnostics = problems = flush = close = _fail


def test_a_sink_with_a_defect_in_each_callback_reaches_neither_source_nor_sinks_nor_the_end(caplog):
    kept, source = Kept(), Playing()
    with running(source, sinks=[Broken(), kept]) as run:
        until(lambda: source.played > 3)
        run.daemon.publish_health()
        degraded = until(lambda: len(kept.health) > 1)
        assert degraded
        assert run.end() == 0
    assert kept.online == [("a", True, "sound arrives"), ("a", False, "stopped")]
    assert kept.closed
    assert f"Broken: {DEFECT}" in kept.health[-1]["degraded"]
    assert tracebacks(caplog) == ["a defect in Broken; the same one is not logged again"]


def test_a_command_that_raises_is_dropped_and_the_daemon_goes_on_and_closes(caplog):
    kept = Kept()
    with running(Playing(), sinks=[kept]) as run:
        for _ in range(3):
            run.daemon.set_listening("no such source", True)
        run.daemon.publish_health()
        until(lambda: any("KeyError" in line for health in kept.health for line in health["degraded"]))
        assert run.end() == 0
    assert kept.closed
    assert tracebacks(caplog) == ["a defect in main loop; the same one is not logged again"]


def test_a_defect_of_the_main_loop_itself_closes_everything_and_is_exit_code_1(monkeypatch, caplog):
    kept, source = Kept(), Playing()
    monkeypatch.setattr(SourceRunner, "notify_stalled", lambda *_: 1 / 0)
    with running(source, sinks=[kept]) as run:
        run.thread.join(LONGEST_S)
        assert run.code == 1
    assert kept.closed
    assert tracebacks(caplog) == ["a defect ends genrewatch"]


def test_a_thread_that_no_guard_knows_ends_the_daemon(caplog):
    kept = Kept()
    with running(Playing(), sinks=[kept]) as run:
        until(lambda: kept.online)
        threading.Thread(target=lambda: 1 / 0, name="unknown").start()
        run.thread.join(LONGEST_S)
        assert run.code == 1
    assert kept.closed
    assert tracebacks(caplog) == ["a defect ends genrewatch"]


def test_a_source_with_a_defect_is_opened_again_and_the_others_play_on(caplog):
    kept, other = Kept(), Playing("b")
    with running(Playing("a", [ZeroDivisionError()]), other, sinks=[kept], restarts=True) as run:
        until(lambda: [entry for entry in kept.online if entry == ("a", False, DEFECT)])
        before = other.played
        until(lambda: [online for name, online, _ in kept.online if name == "a"] == [True, False, True])
        assert other.played > before
        run.daemon.publish_health()
        until(lambda: any(f"a: {DEFECT}" in health["degraded"] for health in kept.health))
        assert run.end() == 0
    assert next(entry for entry in kept.online if entry[0] == "b") == ("b", True, "sound arrives")
    assert len(tracebacks(caplog)) == 1


def test_a_source_that_cannot_go_on_after_a_defect_ends_the_daemon(caplog):
    kept = Kept()
    with running(Playing("a", [ZeroDivisionError()]), sinks=[kept]) as run:
        run.thread.join(LONGEST_S)
        assert run.code == 1
    assert kept.closed
    assert kept.online[-1] == ("a", False, "stopped")
    assert tracebacks(caplog) == ["a defect ends genrewatch"]


def test_a_source_that_is_switched_off_during_its_pause_after_a_defect_stays_off():
    kept = Kept()
    with running(Playing("a", [ZeroDivisionError()]), sinks=[kept], restarts=True) as run:
        until(lambda: ("a", False, DEFECT) in kept.online)
        run.daemon.set_listening("a", False)
        until(lambda: ("a", True) in kept.disabled)
        health = run.daemon.health()["sources"]["a"]
        assert (health["off"], health["why"]) == (True, "switched off")
        run.daemon.set_listening("a", True)
        until(lambda: kept.online[-1] == ("a", True, "sound arrives"))
        assert run.end() == 0


class Hanging(Sink):
    """A sink that holds up what calls it."""

    def __init__(self):
        self.released, self.health = threading.Event(), []

    def on_result(self, source_id, result):
        self.released.wait(LONGEST_S)

    on_duration = on_result

    def on_stalled(self, source_id):
        self.released.wait(LONGEST_S)

    def on_test_event(self, source_id):
        self.released.wait(LONGEST_S)

    def on_health(self, health):
        self.health.append(health)


def test_a_main_loop_without_progress_is_reported_by_the_watchdog(monkeypatch, caplog):
    monkeypatch.setattr(watchdog, "LOOK_S", 0.05)
    sink = Hanging()
    with running(Playing(), sinks=[sink]) as run:
        run.daemon._progress._stuck_s = 0.2
        run.daemon.publish_test_event("a")
        line = until(
            lambda: [text for health in sink.health for text in health["degraded"] if text.startswith("main loop")]
        )
        assert "its thread has made no progress for" in line[0]
        sink.released.set()
        until(lambda: "makes progress again" in caplog.text)
        assert run.end() == 0
    (report,) = [record.getMessage() for record in caplog.records if "it is here" in record.getMessage()]
    assert "File " in report


def test_a_source_thread_without_progress_is_in_degraded():
    sink = Hanging()
    source = Playing()
    with running(source, sinks=[sink]) as run:
        until(lambda: source.played > 1)
        state = run.daemon._sources.states["a"]
        state.thread.progress._stuck_s = 0.2
        until(lambda: "a: its thread has made no progress for 0 s" in run.daemon.health()["degraded"])
        sink.released.set()


def test_a_source_for_which_there_is_no_thread_waits_for_one(monkeypatch):
    kept, refused = Kept(), [5]
    start = threading.Thread.start

    def start_or_not(thread):
        if thread.name == "a" and refused[0]:
            refused[0] -= 1
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_not)
    with running(Playing("a"), Playing("b"), sinks=[kept]) as run:
        until(lambda: ("a", True, "sound arrives") in kept.online)
        assert run.end() == 0
    offline = [entry for entry in kept.online if entry[:2] == ("a", False)]
    assert offline == [("a", False, "no thread can be started"), ("a", False, "stopped")]


def test_a_source_that_cannot_be_opened_again_stays_off_and_is_off_after_a_restart(monkeypatch, caplog):
    kept, state = Kept(), PersistentState(None)
    with running(Playing(), sinks=[kept], persistent_state=state) as run:
        until(lambda: kept.online)
        run.daemon.set_listening("a", False)
        until(lambda: state.get("off", []) == ["a"])
        run.daemon._sources.states["a"].reopen = lambda: (_ for _ in ()).throw(SourceError("a", "no such card"))
        run.daemon.set_listening("a", True)
        until(lambda: len(kept.disabled) == 3)
        assert kept.disabled == [("a", False), ("a", True), ("a", True)]
        assert state.get("off", []) == ["a"]
        assert run.daemon.health()["sources"]["a"]["why"] == "switched off"
        assert run.end() == 0
    assert "a stays switched off: a: no such card" in caplog.text


def test_an_opened_bundle_is_used_by_the_main_thread_and_meanwhile_commands_go_on():
    kept, opening, asked = Kept(), threading.Event(), []

    def open_bundle(name):
        asked.append(name)
        assert opening.wait(LONGEST_S)
        return {}

    with running(Playing(), sinks=[kept], open_bundle=open_bundle) as run:
        run.daemon.set_bundle("one")
        until(lambda: asked == ["one"])
        run.daemon.set_bundle("two")
        run.daemon.set_bundle("three")
        run.daemon.set_listening("a", False)
        until(lambda: ("a", True) in kept.disabled)
        began = time.monotonic()
        run.daemon.publish_health()
        until(lambda: len(kept.health) > 1)
        assert time.monotonic() - began < 5
        opening.set()
        until(lambda: asked == ["one", "three"])
        assert run.end() == 0


def test_a_defect_in_opening_a_bundle_refuses_it():
    kept = Kept()
    with running(Playing(), sinks=[kept], open_bundle=lambda name: {}[name]) as run:
        run.daemon.set_bundle("one")
        until(lambda: run.daemon.health()["bundle_refused"])
        assert run.daemon.health()["bundle_refused"] == "a defect of genrewatch (KeyError), see the log"
        run.daemon.set_bundle("two")
        assert run.end() == 0


class Silent(Playing):
    """A source that never gives sound."""

    def blocks(self, events):
        self._closed.wait(LONGEST_S)
        yield from ()


def test_a_source_without_its_first_sound_is_reported_as_offline(monkeypatch):
    monkeypatch.setattr(source_runner, "NO_SOUND_YET_S", 0.1)
    kept = Kept()
    with running(Silent(), sinks=[kept]) as run:
        until(lambda: kept.online)
        assert run.daemon.health()["sources"]["a"]["why"] == "no sound yet"
        assert run.end() == 0
    assert kept.online == [("a", False, "no sound yet"), ("a", False, "stopped")]


def test_a_defect_of_the_listening_hours_leaves_all_else_running(monkeypatch, caplog):
    kept, source = Kept(), Playing()
    monkeypatch.setattr(ListeningHours, "apply", lambda *_: 1 / 0)
    with running(source, sinks=[kept]) as run:
        until(lambda: source.played > 5)
        assert run.daemon.health()["degraded"] == [f"main loop: {DEFECT}"]
        assert run.end() == 0
    assert tracebacks(caplog) == ["a defect in main loop; the same one is not logged again"]
