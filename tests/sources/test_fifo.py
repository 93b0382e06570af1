"""A FIFO outlives its writers: it waits for one, counts missed sound, and can be closed at any moment."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.daemon.listening import Events, Running, opened
from tests.sounds import pcm16, tune, write_wav

from genrewatch.contract.errors import SourceError
from genrewatch.sources.kinds import open_sources
from genrewatch.sources.uri import SourceConfig

RAW = "?rate=8000"


@pytest.fixture
def fifo(tmp_path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def write(path: Path, data: bytes) -> None:
    """Open the FIFO as a program would, write and close it."""
    with path.open("wb") as out:
        out.write(data)


def n_samples(running) -> int:
    return sum(len(block.samples) for block in running.blocks)


def test_sound_of_one_writer_after_the_other_arrives_and_the_time_between_is_lost(fifo):
    with Running(opened(f"fifo:{fifo}{RAW}")) as running:
        write(fifo, bytes(3200))
        assert running.events.wait(2) == ["online", "offline: no writer"]
        time.sleep(0.3)
        write(fifo, bytes(3200))
        running.until(lambda: n_samples(running) == 3200)
        assert running.events.wait(3)[2] == "online"
    (gap,) = [block.lost for block in running.blocks if block.lost]
    assert gap >= 0.05 * 8000
    assert running.source.counts.lost_s == {"restart": pytest.approx(gap / 8000, abs=0.001)}
    assert running.source.counts.restarts >= 1


def test_a_writer_that_ends_marks_a_break_before_the_source_is_offline(fifo):
    source, events = opened(f"fifo:{fifo}{RAW}"), Events()
    writer = threading.Thread(target=write, args=(fifo, bytes(3200)))
    writer.start()
    for block in source.blocks(events):
        if block.last:
            assert events.notified == ["online"]
            source.close()
    writer.join()
    assert block.last


def test_each_writer_may_send_a_wav_of_its_own(fifo, tmp_path):
    sound = tune(1, rate=16_000)
    wav = write_wav(tmp_path / "a.wav", sound, rate=16_000).read_bytes()
    with Running(opened(f"fifo:{fifo}")) as running:
        for n in (1, 2):
            write(fifo, wav)
            running.until(lambda n=n: n_samples(running) == n * len(sound))
    got = np.concatenate([block.samples for block in running.blocks])
    assert np.abs(got - np.tile(sound, 2)).max() <= 1 / 32767
    assert {block.sample_rate for block in running.blocks} == {16_000}


def test_a_writer_that_pauses_is_stalled_and_stays_open(fifo):
    with Running(opened(f"fifo:{fifo}{RAW}", stall_s=0.3)) as running, fifo.open("wb", buffering=0) as out:
        out.write(pcm16(tune(1, rate=8000)))
        assert running.events.wait(2)[1] == "offline: no sound for 0.3 s"
        out.write(bytes(1600))
        assert running.events.wait(3)[2] == "online"
    assert running.source.counts.lost_s == {}


def test_without_a_writer_it_is_offline_and_can_be_closed(fifo):
    source = opened(f"fifo:{fifo}{RAW}", stall_s=0.2)
    with Running(source) as running:
        assert running.events.wait(1) == ["offline: no sound for 0.2 s"]
    assert running.blocks == []
    assert not any(thread is running._thread for thread in threading.enumerate())


@pytest.mark.parametrize(("name", "words"), [("none", "no such file or directory"), ("file", "not a FIFO")])
def test_a_path_that_is_no_fifo_is_one_error_line(tmp_path, name, words):
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match=f"{words}, expected a FIFO"):
        opened(f"fifo:{tmp_path / name}")


def test_with_retry_start_it_waits_for_the_fifo_itself(tmp_path):
    path = tmp_path / "later"
    (source,) = open_sources([SourceConfig(uri=f"fifo:{path}{RAW}")], retry_start=True)
    with Running(source) as running:
        assert "no such file" in running.events.wait(1)[0]
        os.mkfifo(path)
        write(path, bytes(3200))
        running.until(lambda: n_samples(running) == 1600)
    assert isinstance(running.events, Events)


def held_by(path: Path, mode: str) -> subprocess.Popen[bytes]:
    """Start a program that holds the FIFO open, and wait until it does."""
    program = (
        f"import os, sys; [os.open(sys.argv[1], os.O_NONBLOCK | m) for m in {mode}]; print(1, flush=True); input()"
    )
    held = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert held.stdout
    held.stdout.readline()
    return held


def test_a_fifo_that_another_program_reads_is_refused_since_each_would_steal_from_the_other(fifo):
    with held_by(fifo, "[os.O_RDONLY]") as other:
        with pytest.raises(
            SourceError, match=rf"python.* \(process {other.pid}\) reads it already, expected a FIFO with"
        ):
            opened(f"fifo:{fifo}{RAW}")
        other.kill()


def test_a_program_that_reads_it_later_is_noticed_while_sound_arrives(fifo):
    with Running(opened(f"fifo:{fifo}{RAW}")) as running, fifo.open("wb", buffering=0) as out:
        out.write(bytes(8000))
        running.until(lambda: running.blocks)
        with held_by(fifo, "[os.O_RDONLY]") as other:
            for _ in range(8):
                out.write(bytes(8000))
            running.until(lambda: "reads it already" in running.events.notified[-1])
            other.kill()


@pytest.mark.parametrize("mode", ["[os.O_RDWR]", "[os.O_RDONLY, os.O_WRONLY]"])
def test_a_writer_that_holds_its_own_end_open_for_reading_is_no_reader(fifo, mode):
    with held_by(fifo, mode) as other:
        opened(f"fifo:{fifo}{RAW}")
        other.kill()
