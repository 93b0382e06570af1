"""The microphone runs in a child, is chosen by name or identity, is restarted, and its losses are counted.

PortAudio is a fake here, and so are /sys and /proc where cards are distinguished.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.daemon.listening import Events, Running, opened
from tests.sources.microphones import LINE_IN, ROOT, YETI, Microphones

from genrewatch.contract.errors import SourceError
from genrewatch.sources.microphone.input_devices import InputDevice, choose
from genrewatch.sources.microphone.listing import microphones
from genrewatch.sources.microphone.sound_cards import identity, sound_cards


@pytest.fixture
def machine(monkeypatch, tmp_path) -> Microphones:
    """Simulate a machine with two microphones, which a test can change."""
    plugged = Microphones(tmp_path / "microphones.json", YETI, LINE_IN)
    for key, value in plugged.environment.items():
        monkeypatch.setenv(key, value)
    return plugged


def test_the_microphones_are_listed_with_their_own_rates(machine):
    assert [(d.name, d.rate, d.channels, d.default) for d in microphones()] == [
        ("Blue Yeti", 48000, 2, True),
        ("Line-in", 44100, 1, False),
    ]


@pytest.mark.parametrize(("name", "rate"), [("", 48000), ("yeti", 48000), ("line-in", 44100)])
def test_a_microphone_chosen_by_a_part_of_its_name_is_recorded_at_its_own_rate(machine, name, rate):
    with Running(opened(f"mic:{name}")) as running:
        running.until(lambda: sum(len(block.samples) for block in running.blocks) > rate // 2)
    assert {block.sample_rate for block in running.blocks} == {rate}
    sound = np.concatenate([block.samples for block in running.blocks])[: rate // 2]
    loudest = np.fft.rfftfreq(len(sound), 1 / rate)[np.abs(np.fft.rfft(sound)).argmax()]
    assert loudest == pytest.approx(440, abs=2)


def test_a_rate_that_the_card_refuses_is_followed_by_the_next(machine):
    machine.set(YETI, refused=[48_000])
    with Running(opened("mic:")) as running:
        running.until(lambda: running.blocks)
    assert running.blocks[0].sample_rate == 44_100


def test_a_missing_microphone_is_one_error_line_with_those_that_exist(machine):
    with pytest.raises(SourceError) as caught:
        list(opened("mic:Focusrite").blocks(Events()))
    words = "no microphone named 'Focusrite', there is: mic:Blue Yeti (Blue Yeti), mic:Line-in (Line-in)"
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_sound_library_is_one_error_line(machine, monkeypatch):
    monkeypatch.setenv("FAKE_PORTAUDIO", "missing")
    with pytest.raises(SourceError, match="PortAudio library not found"):
        microphones()


def test_auto_falls_back_to_the_demo_programme(machine, monkeypatch):
    assert opened("auto").id == "mic"
    machine.set()
    assert opened("auto").id == "demo"
    monkeypatch.setenv("FAKE_PORTAUDIO", "missing")
    assert opened("auto").id == "demo"


def test_a_microphone_unplugged_and_plugged_in_again_elsewhere_is_the_same_one_and_the_gap_is_counted(machine):
    with Running(opened("mic:yeti", stall_s=5)) as running:
        running.events.wait(1)
        machine.set(LINE_IN)
        running.events.wait(2)
        before = len(running.blocks)
        machine.set(LINE_IN, YETI)
        notified = running.events.wait(3)
        running.until(lambda: len(running.blocks) > before)
    assert notified[0] == notified[2] == "online"
    assert notified[1].startswith("offline: Blue Yeti ")
    assert {block.sample_rate for block in running.blocks} == {48_000}
    (gap,) = [block.lost for block in running.blocks if block.lost]
    assert gap / 48_000 == pytest.approx(running.source.counts.lost_s["restart"], abs=0.001)


def test_a_callback_that_is_no_longer_called_is_noticed_by_the_child_itself(machine):
    with Running(opened("mic:yeti", stall_s=3)) as running:
        running.events.wait(1)
        machine.set(YETI, mute=["Blue Yeti"])
        notified = running.events.wait(2)
        machine.set(YETI)
        running.events.wait(3)
    assert notified[1] == "offline: Blue Yeti has sent no sound for 1.8 s"


def test_an_overflow_is_counted_where_it_was(machine):
    with Running(opened("mic:yeti")) as running:
        running.until(lambda: len(running.blocks) > 5)
        machine.set(YETI, overflows=1)
        running.until(lambda: any(block.lost for block in running.blocks))
    (lost,) = [block.lost for block in running.blocks if block.lost]
    assert lost == 24_000
    assert running.source.counts.lost_s == {"overflow": 0.5}
    assert running.events.notified == ["online"]


def card(root: Path, number: int, name: str, *, usb: str = "", serial: str = "", port: str = "1-1") -> None:
    """Add a sound card with one input, as Linux shows it."""
    device = root / "sys/devices/pci0000:00/0000:00:14.0/usb1" / port if usb else root / "sys/devices/pci" / name
    place = device / "interface/sound" / f"card{number}"
    place.mkdir(parents=True)
    (place / "id").write_text(name + "\n")
    if usb:
        for key, value in zip(("idVendor", "idProduct"), usb.split(":"), strict=True):
            (device / key).write_text(value + "\n")
    if serial:
        (device / "serial").write_text(serial + "\n")
    (root / "sys/class/sound").mkdir(parents=True, exist_ok=True)
    (root / f"sys/class/sound/card{number}").symlink_to(place)
    (root / f"proc/asound/card{number}/pcm0c/sub0").mkdir(parents=True)
    with (root / "proc/asound/cards").open("a") as cards:
        cards.write(f" {number} [{name:15}]: USB-Audio - {name} of the test\n                      more\n")


def identities(root: Path) -> dict[int, str]:
    cards = sound_cards(root)
    return {each.number: identity(each, cards) for each in cards}


def test_the_identity_of_a_card_survives_a_reboot(tmp_path):
    card(tmp_path, 0, "PCH")
    card(tmp_path, 2, "Yeti", usb="046d:0ab7", serial="797 9")
    card(tmp_path, 1, "Device", usb="0d8c:0014", port="1-2")
    assert identities(tmp_path) == {0: "card-PCH", 1: "usb-0d8c:0014", 2: "usb-046d:0ab7-797_9"}


def test_two_equal_cards_differ_by_their_ports(tmp_path):
    card(tmp_path, 0, "Device", usb="0d8c:0014", port="1-1.2")
    card(tmp_path, 1, "Device_1", usb="0d8c:0014", port="1-1.3")
    assert identities(tmp_path) == {0: "usb-0d8c:0014@0000:00:14.0-1.2", 1: "usb-0d8c:0014@0000:00:14.0-1.3"}


def test_the_identity_opens_the_same_card_after_its_index_has_changed(machine, monkeypatch, tmp_path):
    monkeypatch.setenv("GENREWATCH_SYSTEM_ROOT", str(tmp_path / "before"))
    card(tmp_path / "before", 0, "PCH")
    card(tmp_path / "before", 1, "Yeti", usb="046d:0ab7", serial="1")
    machine.set({**LINE_IN, "name": "PCH: Analog (hw:0,0)"}, {**YETI, "name": "Yeti: USB Audio (hw:1,0)"})
    (yeti,) = [device for device in microphones() if "Yeti" in device.name]
    assert yeti.source == "mic:usb-046d:0ab7-1"
    monkeypatch.setenv("GENREWATCH_SYSTEM_ROOT", str(tmp_path / "after"))
    card(tmp_path / "after", 0, "Yeti", usb="046d:0ab7", serial="1")
    card(tmp_path / "after", 1, "PCH")
    machine.set({**YETI, "name": "Yeti: USB Audio (hw:0,0)"}, {**LINE_IN, "name": "PCH: Analog (hw:1,0)"})
    with Running(opened(yeti.source)) as running:
        running.until(lambda: running.blocks)
    assert running.blocks[0].sample_rate == 48_000


def named(*names: str) -> list[InputDevice]:
    return [InputDevice(name=name, forms=(name,), host_api="ALSA", index=i) for i, name in enumerate(names)]


def test_an_exact_name_goes_before_a_part_of_another():
    assert choose(named("USB Audio 2", "USB Audio"), "usb audio").name == "USB Audio"


def test_a_name_that_several_share_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"could be any of mic:USB Audio 1 .*mic:USB Audio 2"):
        choose(named("USB Audio 1", "USB Audio 2"), "usb")


def test_an_index_is_refused():
    with pytest.raises(ValueError, match="index, which changes"):
        choose(named("Yeti"), " (hw:1,0)")


def test_the_daemon_itself_never_imports_portaudio():
    program = "import sys, genrewatch.commands.listen, genrewatch.commands.doctor; print('sounddevice' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_the_child_that_records_imports_no_numpy():
    program = "import sys, genrewatch.sources.microphone.capture; print({'numpy', 'soxr'} & sys.modules.keys())"
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
