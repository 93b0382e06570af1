"""`alsa:` records through a fake arecord: its overruns are counted, its errors shown."""

import pytest
from tests.daemon.listening import Events, Running, opened

from genrewatch.contract.errors import SourceError

SOUND = "head -c 96000 /dev/zero; sleep 0.3"


@pytest.fixture
def arecord(monkeypatch, tmp_path):
    """`arecord("SHELL SCRIPT")` puts one on the PATH that notes its arguments."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def write(script: str) -> None:
        path = tmp_path / "arecord"
        path.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n{script}\n')
        path.chmod(0o755)

    return write


def test_the_card_is_recorded_at_the_rate_and_with_the_channels_of_the_uri(arecord, tmp_path):
    arecord(f"{SOUND}; sleep 600")
    with Running(opened("alsa:hw:CARD=Yeti,DEV=0?rate=44100&channels=2")) as running:
        running.until(lambda: sum(len(block.samples) for block in running.blocks) == 24_000)
    assert running.blocks[0].sample_rate == 44_100
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments == ["-q", "-D", "hw:CARD=Yeti,DEV=0", "-t", "raw", "-f", "S16_LE", "-r", "44100", "-c", "2"]


def test_an_overrun_is_counted_in_the_stream_and_by_its_cause(arecord):
    arecord(f"{SOUND}; echo 'overrun!!! (at least 250.000 ms long)' >&2; sleep 0.5; {SOUND}; sleep 600")
    with Running(opened("alsa:default")) as running:
        running.until(lambda: sum(len(block.samples) for block in running.blocks) == 96_000)
    assert [block.lost for block in running.blocks if block.lost] == [12_000]
    assert running.source.counts.lost_s == {"overflow": 0.25}


def test_a_card_that_runs_at_another_rate_is_refused(arecord):
    arecord(f"echo 'Warning: rate is not accurate (requested = 48000Hz, got = 44100Hz)' >&2; sleep 0.3; {SOUND}")
    with pytest.raises(SourceError, match=r"the card runs at 44100 Hz, expected \?rate=44100$"):
        list(opened("alsa:hw:CARD=Yeti").blocks(Events()))


def test_the_last_line_of_arecord_is_the_reason(arecord):
    arecord("echo 'arecord: main:850: audio open error: No such device' >&2; exit 1")
    with pytest.raises(SourceError, match=r"^alsa:hw:9: audio open error: No such device$"):
        list(opened("alsa:hw:9").blocks(Events()))


def test_without_arecord_or_a_device_it_is_one_error_line(monkeypatch, tmp_path):
    with pytest.raises(SourceError, match="no device"):
        opened("alsa:")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="arecord is not installed, expected it on the PATH"):
        opened("alsa:default")


def test_a_card_without_16_bits_is_recorded_in_the_first_format_that_it_offers(arecord, tmp_path):
    arecord(
        'case "$*" in *S32_LE*) head -c 192000 /dev/zero; sleep 600;; esac\n'
        "printf '%s\\n' 'arecord: set_params:1416: Sample format non available' "
        "'Available formats:' '- S32_LE' '- S24_3LE' >&2; exit 1"
    )
    with Running(opened("alsa:hw:CARD=Pro")) as running:
        running.until(lambda: sum(len(block.samples) for block in running.blocks) == 48_000)
    assert "-f S32_LE" in (tmp_path / "arguments").read_text()


def test_a_card_without_any_known_format_is_one_error_line(arecord):
    arecord(
        "printf '%s\\n' 'arecord: set_params:1416: Sample format non available' "
        "'Available formats:' '- MU_LAW' >&2; exit 1"
    )
    with pytest.raises(SourceError, match=r"Sample format non available"):
        list(opened("alsa:hw:CARD=Pro").blocks(Events()))
