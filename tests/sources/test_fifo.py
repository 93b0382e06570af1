"""A FIFO outlives its writers: it waits for one, says so, counts what was missed, and can be closed at any moment."""

import os
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
    """Opens the FIFO as a program would, writes and leaves."""
    with path.open("wb") as out:
        out.write(data)


def heard(running) -> int:
    return sum(len(block.samples) for block in running.blocks)


def test_one_writer_after_the_other_is_heard_and_the_time_between_is_lost_sound(fifo):
    with Running(opened(f"fifo:{fifo}{RAW}")) as running:
        write(fifo, bytes(3200))
        assert running.events.wait(2) == ["online", "offline: no writer"]
        time.sleep(0.3)
        write(fifo, bytes(3200))
        running.until(lambda: heard(running) == 3200)
        assert running.events.wait(3)[2] == "online"
    (gap,) = [block.lost for block in running.blocks if block.lost]
    assert gap >= 0.05 * 8000
    assert running.source.counts.lost_s == {"restart": pytest.approx(gap / 8000, abs=0.001)}
    assert running.source.counts.restarts >= 1


def test_a_writer_that_goes_breaks_the_sound_off_before_the_source_is_offline(fifo):
    source, events = opened(f"fifo:{fifo}{RAW}"), Events()
    writer = threading.Thread(target=write, args=(fifo, bytes(3200)))
    writer.start()
    for block in source.blocks(events):
        if block.last:
            assert events.said == ["online"]
            source.close()
    writer.join()
    assert block.last


def test_each_writer_may_send_a_wav_of_its_own(fifo, tmp_path):
    sound = tune(1, rate=16_000)
    wav = write_wav(tmp_path / "a.wav", sound, rate=16_000).read_bytes()
    with Running(opened(f"fifo:{fifo}")) as running:
        for n in (1, 2):
            write(fifo, wav)
            running.until(lambda n=n: heard(running) == n * len(sound))
    got = np.concatenate([block.samples for block in running.blocks])
    assert np.abs(got - np.tile(sound, 2)).max() <= 1 / 32767
    assert {block.sample_rate for block in running.blocks} == {16_000}


def test_a_writer_that_pauses_is_stalled_not_gone(fifo):
    with Running(opened(f"fifo:{fifo}{RAW}", stall_s=0.3)) as running, fifo.open("wb", buffering=0) as out:
        out.write(pcm16(tune(1, rate=8000)))
        assert running.events.wait(2)[1] == "offline: no sound for 0.3 s"
        out.write(bytes(1600))
        assert running.events.wait(3)[2] == "online"
    assert running.source.counts.lost_s == {}


def test_without_a_writer_it_says_so_and_can_be_closed(fifo):
    source = opened(f"fifo:{fifo}{RAW}", stall_s=0.2)
    with Running(source) as running:
        assert running.events.wait(1) == ["offline: no sound for 0.2 s"]
    assert running.blocks == []
    assert not any(thread is running._thread for thread in threading.enumerate())


@pytest.mark.parametrize(("name", "words"), [("none", "no such file or directory"), ("file", "not a FIFO")])
def test_what_is_no_fifo_is_one_line(tmp_path, name, words):
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
        running.until(lambda: heard(running) == 1600)
    assert isinstance(running.events, Events)
