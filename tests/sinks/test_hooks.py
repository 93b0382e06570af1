"""Hooks: commands and URLs for events, their reports, and that neither can block or outlive the daemon."""

import json
import os
import shlex
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.sinks.hook_rig import EVENT, LONG_S, alive, python, running_hooks, settled, until
from tests.sinks.mqtt_rig import JAZZ, ROCK, SILENCE

from genrewatch.sinks.hooks import command
from genrewatch.sinks.hooks.command import Command
from genrewatch.sinks.hooks.sink import HookConfig, HookSink, QueueLimits
from genrewatch.sources.source import NowPlaying
from genrewatch_drill.rig.processes import children

DEAD_AIR = replace(SILENCE, dead_air=True)
LISTENER: Any = SimpleNamespace(manifest=SimpleNamespace(name="net", version="1.2.0"))


def on_change(command: str, **settings: Any) -> HookConfig:
    return HookConfig(on=("genre_changed",), command=command, **settings)


def change_genre(sink: HookSink, times: int) -> None:
    """That many events."""
    for number in range(times):
        sink.on_result("mic", JAZZ if number % 2 else ROCK)


def append_to(path: Path, what: str = "sys.stdin.read()") -> str:
    """A command that appends a line to a file."""
    return python(f"import json, os, sys; open({str(path)!r}, 'a').write({what} + '\\n')")


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_a_command_gets_the_event_on_standard_input(tmp_path: Path) -> None:
    with running_hooks(on_change(append_to(tmp_path / "told"))) as sink:
        sink.on_stream("mic", LISTENER)
        sink.on_now_playing("mic", NowPlaying(station="Rádio"))
        sink.on_result("mic", ROCK)
        health = settled(sink, ran=1)
    assert [json.loads(line) for line in lines(tmp_path / "told")] == [EVENT]
    assert health == {"ran": 1, "failed": 0, "dropped": 0, "suppressed": 0, "last_error": None}


def test_a_command_gets_the_event_in_its_environment_and_not_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENREWATCH_MQTT_PASSWORD", "hush")
    monkeypatch.setenv("OURS", "too")
    told = append_to(tmp_path / "told", "json.dumps({k: v for k, v in os.environ.items() if k[:3] in ('GEN', 'OUR')})")
    with running_hooks(HookConfig(on=("genre_changed", "stalled"), command=told)) as sink:
        sink.on_result("mic", ROCK)
        sink.on_stalled("radio")
        settled(sink, ran=2)
    found = [json.loads(line) for line in lines(tmp_path / "told")]
    assert all(variables.pop("GENREWATCH_CHILD") for variables in found)  # the mark of every child that is ours
    assert found == [
        {"GENREWATCH_EVENT": event, "GENREWATCH_SOURCE": source, "GENREWATCH_GENRE": genre, "OURS": "too"}
        for event, source, genre in (("genre_changed", "mic", "rock"), ("stalled", "radio", ""))
    ]


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    quoted = python(f"import sys; open({str(tmp_path / 'told')!r}, 'w').write(sys.argv[1])")
    with running_hooks(on_change(f"{quoted} '$HOME; `id` > x'")) as sink:
        change_genre(sink, 1)
        settled(sink, ran=1)
    assert lines(tmp_path / "told") == ["$HOME; `id` > x"]


def test_a_hook_runs_for_its_events_and_its_sources_only(tmp_path: Path) -> None:
    told = append_to(tmp_path / "told", "os.environ['GENREWATCH_EVENT'] + ' ' + os.environ['GENREWATCH_SOURCE']")
    with running_hooks(HookConfig(on=("dead_air", "resumed"), command=told, sources=("radio",))) as sink:
        for source in ("mic", "radio"):
            sink.on_result(source, ROCK)
            sink.on_result(source, DEAD_AIR)
            sink.on_stalled(source)
            sink.on_result(source, ROCK)
        settled(sink, ran=2)
    assert lines(tmp_path / "told") == ["dead_air radio", "resumed radio"]


def test_a_source_that_is_off_is_forgotten(tmp_path: Path) -> None:
    with running_hooks(on_change(append_to(tmp_path / "told", "''"))) as sink:
        sink.on_disabled("mic", False)
        sink.on_result("mic", ROCK)
        sink.on_disabled("mic", False)
        sink.on_result("mic", ROCK)
        sink.on_disabled("mic", True)
        sink.on_result("mic", ROCK)
        settled(sink, ran=2)
    assert len(lines(tmp_path / "told")) == 2


def test_a_command_that_overruns_is_ended_with_what_it_started_though_both_ignore_sigterm(tmp_path: Path) -> None:
    script = f"trap '' TERM; sleep 600 & echo $$ $! > {tmp_path}/pids; wait"
    with running_hooks(on_change(shlex.join(["sh", "-c", script]), timeout_s=3.0)) as sink:
        change_genre(sink, 1)
        assert settled(sink, ran=1) == {
            "ran": 1,
            "failed": 1,
            "dropped": 0,
            "suppressed": 0,
            "last_error": "still running after 3 s",
        }
        pids = (tmp_path / "pids").read_text().split()
        assert len(pids) == 2
        until(lambda: not any(alive(int(pid)) for pid in pids))


def test_what_a_command_leaves_in_the_background_is_ended_with_it_and_is_no_failure(tmp_path: Path) -> None:
    program = f"""
        import subprocess
        open({str(tmp_path / "pid")!r}, "w").write(str(subprocess.Popen(["sleep", "600"]).pid))
    """
    with running_hooks(on_change(python(program), timeout_s=300.0)) as sink:
        change_genre(sink, 1)
        assert settled(sink, ran=1)["failed"] == 0
        until(lambda: not alive(int((tmp_path / "pid").read_text())))


def test_endless_output_reaches_neither_our_output_nor_our_memory(capfd: pytest.CaptureFixture[str]) -> None:
    program = "import sys\nwhile True: print('x' * 100_000); print('y' * 100_000, file=sys.stderr)"
    with running_hooks(on_change(python(program), timeout_s=1.0)) as sink:
        change_genre(sink, 1)
        assert settled(sink, ran=1)["last_error"] == "still running after 1 s"
    assert capfd.readouterr() == ("", "")


def test_a_flood_of_output_takes_little_of_our_processor_time() -> None:
    with running_hooks(on_change("cat /dev/zero", timeout_s=1.5)) as sink:
        before = time.process_time()
        change_genre(sink, 1)
        settled(sink, ran=1)
        assert time.process_time() - before < 0.5


@pytest.mark.skipif(sys.platform != "linux", reason="limits of children are Linux's")
def test_a_command_with_too_large_a_file_is_ended_and_one_that_forks_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "FILE_BYTES", 100_000)
    programs = (
        f"""
        import time
        time.sleep(0.2)
        with open({str(tmp_path / "big")!r}, "wb") as file:
            while True: file.write(bytes(9999))
        """,
        f"""
        import os, time
        for _ in range(5): os.fork()
        open({str(tmp_path)!r} + f"/pid-{{os.getpid()}}", "w")
        time.sleep(600)
        """,
    )
    hooks = [on_change(python(program), timeout_s=2.0) for program in programs]
    with running_hooks(*hooks) as sink:
        change_genre(sink, 1)
        until(lambda: [sink.health()[n]["ran"] for n in "01"] == [1, 1])
        assert "File too large" in sink.health()["0"]["last_error"] or "SIGXFSZ" in sink.health()["0"]["last_error"]
        pids = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]
        assert len(pids) == 32
        until(lambda: not any(map(alive, pids)))
    assert (tmp_path / "big").stat().st_size == 100_000


def test_a_command_that_does_not_read_and_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    program = f"""
        import os, time
        os.close(0); os.close(1); os.close(2)
        time.sleep(0.5)
        open({str(tmp_path / "told")!r}, "w").write("done")
    """
    with running_hooks(on_change(python(program), timeout_s=LONG_S)) as sink:
        sink.on_now_playing("mic", NowPlaying(title="x" * 1_000_000))  # more than a pipe holds
        change_genre(sink, 1)
        assert settled(sink, ran=1)["failed"] == 0
    assert lines(tmp_path / "told") == ["done"]


def test_a_hook_that_fails_is_logged_once_and_once_more_when_it_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    fixed = tmp_path / "fixed"
    command = python(f"import os, sys; os.path.exists({str(fixed)!r}) or sys.exit('no mail today')")
    with running_hooks(on_change(command)) as sink:
        change_genre(sink, 3)
        assert settled(sink, ran=3) == {
            "ran": 3,
            "failed": 3,
            "dropped": 0,
            "suppressed": 0,
            "last_error": "exit code 1: no mail today",
        }
        assert len(caplog.messages) == 1
        assert "fails (exit code 1: no mail today)" in caplog.messages[0]
        assert [trouble.partition("): ")[2] for trouble in sink.problems()] == ["exit code 1: no mail today"]
        fixed.touch()
        sink.on_result("mic", JAZZ)
        sink.on_result("mic", ROCK)
        settled(sink, ran=5)
        assert sink.problems() == []
        assert sink.diagnostics() == {"hooks": sink.health()}
    assert [message.partition(") ")[2] for message in caplog.messages[1:]] == ["works again"]


def test_a_missing_program_is_logged_at_the_start_and_when_it_is_needed(caplog: pytest.LogCaptureFixture) -> None:
    with running_hooks(on_change("/no/such/alarm --token secret")) as sink:
        assert caplog.messages == ["hook[0] (/no/such/alarm): no such program yet"]
        change_genre(sink, 1)
        assert settled(sink, ran=1)["last_error"] == "/no/such/alarm: no such file or directory"
    assert "secret" not in caplog.text


def test_a_command_that_is_killed_is_reported_with_its_signal() -> None:
    with running_hooks(on_change(python("import os; os.kill(os.getpid(), 9)"))) as sink:
        change_genre(sink, 1)
        assert settled(sink, ran=1)["last_error"] == "ended by signal 9"


def test_a_url_in_a_command_s_last_line_is_reported_without_its_secrets(caplog: pytest.LogCaptureFixture) -> None:
    words = "refused by https://me:s3cret@ntfy.example:8443/t0pic?auth=t0ken, sorry"
    with running_hooks(on_change(python(f"import sys; sys.exit({words!r})"))) as sink:
        change_genre(sink, 1)
        assert settled(sink, ran=1)["last_error"] == "exit code 1: refused by https://ntfy.example:8443 sorry"
    assert not any(secret in caplog.text for secret in ("s3cret", "t0pic", "t0ken"))


def test_a_full_queue_drops_the_oldest_and_counts_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gate = tmp_path / "gate"
    program = f"""
        import json, os, sys, time
        open({str(tmp_path / "started")!r}, "w")
        while not os.path.exists({str(gate)!r}): time.sleep(0.01)
        open({str(tmp_path / "told")!r}, "a").write(json.load(sys.stdin)["source"] + "\\n")
    """
    names = {f"s{number}": "" for number in range(10)}
    limits = QueueLimits(events=3)
    hook = on_change(python(program), timeout_s=LONG_S)
    with running_hooks(hook, names=names, limits=limits) as sink:
        sink.on_result("s0", ROCK)
        until((tmp_path / "started").exists)  # it is at work on the first
        for source in list(names)[1:]:
            sink.on_result(source, ROCK)
        assert sink.health()["0"]["dropped"] == 6
        gate.touch()
        settled(sink, ran=4)
    assert lines(tmp_path / "told") == ["s0", "s7", "s8", "s9"]
    assert [message.partition("): ")[2] for message in caplog.messages] == [
        "more than 3 events are queued, the oldest are dropped"
    ]


def test_an_event_that_has_waited_too_long_is_dropped(tmp_path: Path) -> None:
    command = append_to(tmp_path / "told", "os.environ['GENREWATCH_GENRE']")
    with running_hooks(on_change(command), limits=QueueLimits(keep_s=0.0)) as sink:
        change_genre(sink, 2)
        until(lambda: sink.health()["0"]["dropped"] == 2)
    assert lines(tmp_path / "told") == []


def test_a_hook_that_hangs_holds_up_neither_the_others_nor_listening(tmp_path: Path) -> None:
    hangs, works = on_change("sleep 600", timeout_s=300.0), on_change(append_to(tmp_path / "told", "''"))
    with running_hooks(hangs, works) as sink:
        began = time.monotonic()
        change_genre(sink, 1000)
        assert time.monotonic() - began < LONG_S
        until(lambda: sink.health()["1"]["ran"] >= 3)
        assert sink.health()["0"]["ran"] == 0


def test_at_the_end_what_waits_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genrewatch.sinks.hooks.sink.DRAIN_S", LONG_S)
    with running_hooks(on_change("true")) as sink:
        change_genre(sink, 20)
    assert sink.health()["0"] == {"ran": 20, "failed": 0, "dropped": 0, "suppressed": 0, "last_error": None}


def test_at_the_end_what_hangs_is_ended_and_what_waits_for_it_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = f"trap '' TERM; echo $$ > {tmp_path}/pid; sleep 600"
    with running_hooks(on_change(shlex.join(["sh", "-c", script]), timeout_s=300.0)) as sink:
        change_genre(sink, 3)
        (pid,) = until(lambda: lines(tmp_path / "pid"))
        began = time.monotonic()
        sink.close()
        assert time.monotonic() - began < LONG_S
        until(lambda: not alive(int(pid)))
        until(lambda: sink.health()["0"]["last_error"] == "not done when genrewatch stopped")
        assert sink.health()["0"]["dropped"] == 2
    assert any("stopped, 2 queued events are dropped" in message for message in caplog.messages)


def test_nothing_is_left_after_many_events() -> None:
    def left_after(events: int) -> tuple[int, int, int]:
        with running_hooks(on_change("true")) as sink:
            change_genre(sink, events)
            settled(sink, ran=events)
        return len(os.listdir("/proc/self/fd")), threading.active_count(), len(children(os.getpid()))

    assert left_after(40) == left_after(2)


def test_a_defect_of_an_action_is_a_failure_of_that_event_and_the_worker_goes_on(monkeypatch, caplog):
    defects = [ZeroDivisionError(), ZeroDivisionError()]
    run = Command.run

    def run_or_fail(*arguments):
        if defects:
            raise defects.pop()
        return run(*arguments)

    monkeypatch.setattr(Command, "run", run_or_fail)
    with running_hooks(HookConfig(on=("test",), command=python("pass"))) as sink:
        for ran in (1, 2):
            sink.on_test_event("mic")
            health = settled(sink, ran=ran)
            assert health["last_error"] == "a defect of genrewatch (ZeroDivisionError), see the log"
        assert sink.problems()[0].endswith("a defect of genrewatch (ZeroDivisionError), see the log")
        sink.on_test_event("mic")
        assert settled(sink, ran=3)["failed"] == 2
    assert sum(record.exc_info is not None for record in caplog.records) == 1
