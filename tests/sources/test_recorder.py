"""Samples lost between the sound card and the pipe are counted at their place, whatever the card's clock shows."""

import queue
from types import SimpleNamespace

import pytest
from tests.audio.test_pcm import reader

from genrewatch.audio.packets import header, packet
from genrewatch.audio.pcm import pcm_blocks
from genrewatch.sources.microphone import recorder as module
from genrewatch.sources.microphone.recorder import QUEUE_S, Recorder

RATE, FRAMES = 8000, 800


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(s=100.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: now.s)
    return now


def call(recorder, clock, *, adc, overflow=False, after_s=0.1):
    clock.s += after_s
    flags = SimpleNamespace(input_overflow=overflow)
    recorder.callback(bytes(2 * FRAMES), FRAMES, SimpleNamespace(inputBufferAdcTime=adc), flags)


def taken(recorder):
    found = []
    try:
        while True:
            found.append(recorder.take(0.0)[0])
    except queue.Empty:
        return found


@pytest.mark.parametrize(
    ("adc", "after_s", "lost"),
    [
        (5.6, 0.62, 4000),  # the card recorded 0.5 s more than it delivered
        (5.1, 0.1, 1),  # flagged, yet nothing is missing: a gap all the same
        (0.0, 0.6, 4000),  # a backend without times: the time between the callbacks
        (3600.0, 0.6, 4000),  # the wall clock that the card's times follow was stepped
        (1.0, 0.6, 4000),
    ],
)
def test_an_overflow_is_counted_before_the_buffer_that_follows_it(clock, adc, after_s, lost):
    recorder = Recorder(RATE)
    call(recorder, clock, adc=5.0 if adc else 0.0)
    call(recorder, clock, adc=adc, after_s=after_s, overflow=True)
    call(recorder, clock, adc=adc + 0.1)
    assert taken(recorder) == [0, pytest.approx(lost, abs=1), 0]


def test_a_full_queue_drops_sound_and_counts_every_sample(clock):
    recorder, calls = Recorder(RATE), round(3 * QUEUE_S * RATE / FRAMES)
    for n in range(calls):
        call(recorder, clock, adc=1 + n / 10)
    kept = len(taken(recorder))
    assert QUEUE_S * RATE <= kept * FRAMES <= (QUEUE_S + 1) * RATE
    call(recorder, clock, adc=1 + calls / 10)
    assert taken(recorder) == [(calls - kept) * FRAMES]


def test_the_end_comes_after_all_recorded_sound(clock):
    recorder = Recorder(RATE)
    call(recorder, clock, adc=1.0)
    recorder.finished()
    assert recorder.take(0.0) == (0, bytes(2 * FRAMES))
    assert recorder.take(0.0) is None


@pytest.mark.parametrize("sizes", [None, [1] * 10_000, [7] * 1000])
def test_packets_carry_lost_samples_to_the_block_that_follows_them(sizes):
    stream = header(48_000, 2) + packet(0, bytes(400)) + packet(77, bytes(800)) + packet(2**40, bytes(4))
    blocks = list(pcm_blocks(reader(stream, sizes), None, where="pipe"))
    assert [(len(b.samples), b.lost, b.sample_rate) for b in blocks] == [
        (100, 0, 48_000),
        (200, 77, 48_000),
        (1, 2**32 - 1, 48_000),
    ]


def test_a_packet_cut_short_gives_what_is_there_and_an_empty_one_passes_its_loss_on():
    stream = header(8_000, 1) + packet(5, b"") + packet(2, bytes(10)) + packet(0, bytes(10))[:-3]
    blocks = list(pcm_blocks(reader(stream), None, where="pipe"))
    assert [(len(b.samples), b.lost) for b in blocks] == [(5, 7), (3, 0)]


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (header(0, 2), "rate: found 0"),
        (header(48_000, 99), "channels: found 99"),
        (header(48_000, 2) + packet(0, b"abc"), "a packet of 3 bytes, expected whole samples of 4 bytes"),
        (header(48_000, 2) + b"\xff" * 8, "a packet of 4294967295 bytes"),
    ],
)
def test_impossible_packets_are_one_error_line(stream, words):
    with pytest.raises(Exception, match=words) as caught:
        list(pcm_blocks(reader(stream), None, where="pipe"))
    assert str(caught.value).startswith("pipe: ")
