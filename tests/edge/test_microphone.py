"""The microphone runs in a child, is chosen by name, and its absence is one line. PortAudio is a stand-in here."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.contract.errors import SourceError
from edge.sources import SourceConfig, open_sources
from edge.sources.microphone import choose
from edge.sources.uri import microphones

FAKE = str(Path(__file__).parent / "fake")
ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def portaudio(monkeypatch):
    """A machine with two microphones; `portaudio("none")` or `portaudio("missing")` change that."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([FAKE, ROOT]))
    return lambda state: monkeypatch.setenv("FAKE_PORTAUDIO", state)


class Quiet:
    def source_online(self, source_id, why): ...

    def source_offline(self, source_id, why): ...


def test_the_microphones_are_listed_with_their_own_rates(portaudio):
    assert [(d["name"], d["rate"], d["channels"], d["default"]) for d in microphones()] == [
        ("USB Audio: Blue Yeti", 48000, 2, True),
        ("Line-in: codec", 44100, 1, False),
    ]


@pytest.mark.parametrize(("name", "rate"), [("", 48000), ("yeti", 48000), ("line-in", 44100)])
def test_a_microphone_chosen_by_a_part_of_its_name_is_heard_at_its_own_rate(portaudio, name, rate):
    (source,) = open_sources([SourceConfig(uri=f"mic:{name}")])
    heard = []
    for block in source.blocks(Quiet()):
        heard.append(block)
        if sum(len(b.samples) for b in heard) > rate // 2:
            source.close()
    assert {block.sample_rate for block in heard} == {rate}
    sound = np.concatenate([block.samples for block in heard])[: rate // 2]
    loudest = np.fft.rfftfreq(len(sound), 1 / rate)[np.abs(np.fft.rfft(sound)).argmax()]
    assert loudest == pytest.approx(440, abs=2)


def test_a_microphone_that_is_not_there_is_one_line_with_those_that_are(portaudio):
    (source,) = open_sources([SourceConfig(uri="mic:Focusrite")])
    with pytest.raises(SourceError) as caught:
        list(source.blocks(Quiet()))
    assert "no microphone named 'Focusrite', there is: USB Audio: Blue Yeti, Line-in: codec" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_sound_library_is_one_line(portaudio):
    portaudio("missing")
    with pytest.raises(SourceError, match="PortAudio library not found"):
        microphones()


@pytest.mark.parametrize("state", ["none", "missing"])
def test_auto_falls_back_to_the_demo_programme(portaudio, state):
    assert [source.id for source in open_sources([SourceConfig(uri="auto")])] == ["mic"]
    portaudio(state)
    assert [source.id for source in open_sources([SourceConfig(uri="auto")])] == ["demo"]


def test_an_exact_name_goes_before_a_part_of_another():
    found = [{"name": "USB Audio 2"}, {"name": "USB Audio"}]
    assert choose(found, "usb audio") == {"name": "USB Audio"}


def test_a_name_survives_a_changed_index():
    yeti = {"name": "Yeti", "default": False, "index": 5}
    assert choose([{"name": "HDMI", "default": True, "index": 0}, yeti], "yeti")["index"] == 5


def test_the_daemon_itself_never_imports_portaudio():
    program = "import sys, edge.commands.listen, edge.commands.doctor; print('sounddevice' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
