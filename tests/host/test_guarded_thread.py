"""A guarded thread survives its defects, logs each once, and shows a lack of progress."""

import threading
import time

import pytest

from genrewatch.host import defects
from genrewatch.host.backoff import Backoff
from genrewatch.host.defects import DefectLog, last_resort
from genrewatch.host.guarded_thread import GuardedThread

QUICK = Backoff(first_s=0.01, max_s=0.01)


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_defect_is_logged_once_with_its_traceback_and_the_thread_starts_again(caplog):
    runs, closing = [], threading.Event()

    def run():
        runs.append(1)
        if len(runs) < 4:
            raise ZeroDivisionError
        closing.wait(20)

    thread = GuardedThread("part", run, backoff=QUICK)
    thread.start()
    until(lambda: len(runs) == 4)
    assert thread.is_alive()
    assert thread.problem == "part: a defect of genrewatch (ZeroDivisionError), see the log"
    closing.set()
    thread.join(20)
    assert not thread.is_alive()
    (record,) = caplog.records
    assert record.exc_info[0] is ZeroDivisionError


def test_a_closed_thread_does_not_start_again():
    runs = []

    def run():
        runs.append(1)
        raise ZeroDivisionError

    thread = GuardedThread("part", run, backoff=Backoff(first_s=20.0))
    thread.start()
    until(lambda: runs)
    began = time.monotonic()
    thread.join(20)
    assert time.monotonic() - began < 5
    assert len(runs) == 1


def test_a_problem_is_forgotten_after_a_while(monkeypatch):
    log = DefectLog("part")
    assert [log.add(KeyError()), log.add(KeyError())] == [1, 2]
    monkeypatch.setattr(defects, "REPORT_S", 0.0)
    assert log.problem is None
    assert log.add(KeyError()) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_or_is_stuck_is_a_problem():
    def exit_at_once():
        raise SystemExit

    thread = GuardedThread("part", exit_at_once)
    assert thread.problem is None
    thread.start()
    until(lambda: not thread.is_alive())
    assert thread.problem == "part: its thread has died"
    release = threading.Event()

    def work():
        with busy.working():
            release.wait(20)

    busy = GuardedThread("busy", work, stuck_s=0.05)
    busy.start()
    until(lambda: busy.problem == "busy: its thread has made no progress for 0 s")
    release.set()
    busy.join(20)
    assert busy.problem is None


def test_no_thread_left_is_an_error_of_the_system(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OSError, match="no thread can be started"):
        GuardedThread("part", lambda: None).start()


def test_the_last_resort_passes_on_every_exception_but_an_exit():
    found = []
    hook = last_resort(found.append)
    for exc in (ZeroDivisionError(), SystemExit()):
        hook(threading.ExceptHookArgs((type(exc), exc, None, None)))
    assert [type(exc) for exc in found] == [ZeroDivisionError]
