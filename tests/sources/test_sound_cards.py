"""A card's identity survives a reboot, a replug and a new index, and what `devices` prints chooses that card."""

from types import SimpleNamespace

import pytest

from genrewatch.sources.microphone.input_devices import choose, input_devices
from genrewatch.sources.microphone.sound_cards import sound_cards


class Machine:
    """/sys and /proc in a folder, and PortAudio's view of the same cards."""

    PortAudioError = RuntimeError

    def __init__(self, root):
        self.root, self._listed = root, []
        self.default = SimpleNamespace(device=(0, 0))

    def card(self, number, name, *, usb=None, serial=None, port=None, id=None, pcms=(0,), busy=False):
        place = f"usb1/1-{port or number + 5}" if usb else f"pci{number}"
        device = self.root / "sys/devices/pci0000:00/0000:00:14.0" / place
        card = device / "1-0:1.0/sound" / f"card{number}"
        card.mkdir(parents=True)
        (card / "id").write_text(f"{id or f'Card{number}'}\n")
        vendor, _, product = (usb or "").partition(":")
        for file, text in {"idVendor": vendor, "idProduct": product, "serial": serial}.items():
            if text:
                (device / file).write_text(f"{text}\n")
        links = self.root / "sys/class/sound"
        links.mkdir(parents=True, exist_ok=True)
        (links / f"card{number}").symlink_to(card)
        for pcm in pcms:
            status = self.root / f"proc/asound/card{number}/pcm{pcm}c/sub0/status"
            status.parent.mkdir(parents=True)
            status.write_text("state: RUNNING\nowner_pid   : 4242\n" if busy else "closed\n")
            if not busy:
                self._listed.append(f"{name}: USB Audio (hw:{number},{pcm})")
        with open(self.root / "proc/asound/cards", "a") as file:
            file.write(
                f" {number} [Card{number}          ]: USB-Audio - {name}\n                      {name} at usb-x\n"
            )
        return self

    def virtual(self, name):
        self._listed.append(name)
        return self

    def query_devices(self):
        return [
            {"name": name, "hostapi": 0, "max_input_channels": 2, "default_samplerate": 48000.0}
            for name in self._listed
        ]

    def query_hostapis(self, index):
        return {"name": "ALSA"}

    def found(self):
        return input_devices(self, self.root)

    def chosen(self, target):
        return self.query_devices()[choose(self.found(), target).index]["name"]


@pytest.fixture
def machine(tmp_path):
    numbers = iter(range(9))
    return lambda: Machine(tmp_path / f"boot{next(numbers)}")


def test_a_usb_microphone_keeps_its_identity_when_its_index_and_port_change(machine):
    before = machine().card(0, "HDA").card(1, "Blue Yeti", usb="046d:0ab7", serial="REV 8", port="1.2")
    after = machine().card(0, "Blue Yeti", usb="046d:0ab7", serial="REV 8", port="3").card(1, "HDA")
    assert before.found()[1].source == after.found()[0].source == "mic:usb-046d:0ab7-REV_8"
    assert before.chosen("usb-046d:0ab7-REV_8") == "Blue Yeti: USB Audio (hw:1,0)"
    assert after.chosen("usb-046d:0ab7-REV_8") == "Blue Yeti: USB Audio (hw:0,0)"


def test_two_equal_cards_without_a_serial_number_differ_by_port(machine):
    ports = {"1.2": "mic:usb-0d8c:0014@0000:00:14.0-1.2", "1.3": "mic:usb-0d8c:0014@0000:00:14.0-1.3"}
    for first, second in (("1.2", "1.3"), ("1.3", "1.2")):
        both = machine().card(1, "Mic", usb="0d8c:0014", port=first).card(2, "Mic", usb="0d8c:0014", port=second)
        assert [device.source for device in both.found()] == [ports[first], ports[second]]
        assert both.chosen(ports["1.2"].removeprefix("mic:")).endswith("(hw:1,0)" if first == "1.2" else "(hw:2,0)")
        with pytest.raises(ValueError, match="could be any of") as caught:
            both.chosen("usb-0d8c:0014")
        assert all(source in str(caught.value) for source in ports.values())
    alone = machine().card(1, "Mic", usb="0d8c:0014", port="1.3")
    assert alone.found()[0].source == "mic:usb-0d8c:0014"
    assert alone.chosen("usb-0d8c:0014@0000:00:14.0-1.3")


def test_every_printed_source_chooses_the_device_that_it_is_printed_for(machine):
    full = machine().virtual("pulse").card(0, "HDA Intel PCH", id="PCH", pcms=(0, 2)).card(1, "Yeti", usb="046d:0ab7")
    full.card(2, "Yeti", usb="046d:0ab7").card(4, "Clip", usb="0d8c:0014").card(5, "Clip", usb="0d8c:0014", serial="7")
    full.card(3, "Yeti", usb="046d:0ab7", serial="9").virtual("default")
    for device, listed in zip(full.found(), full.query_devices(), strict=True):
        assert full.chosen(device.source.removeprefix("mic:")) == listed["name"]
    assert [device.forms[0] for device in full.found()][:3] == ["pulse", "card-PCH", "card-PCH,2"]


def test_an_exact_name_goes_before_a_part_and_an_index_is_no_name(machine):
    two = machine().card(1, "Scarlett 2i2", usb="1235:8210").card(2, "Scarlett 2i2 extra", usb="1235:8211")
    assert two.chosen("scarlett 2i2").startswith("Scarlett 2i2:")
    assert two.chosen("EXTRA").startswith("Scarlett 2i2 extra")
    assert two.chosen("Scarlett 2i2 extra: USB Audio (hw:7,0)").endswith("(hw:2,0)")
    for wrong in ("2", "hw:1,0", "(hw:1,0)"):
        with pytest.raises(ValueError, match="there is: mic:usb-1235:8210 "):
            two.chosen(wrong)
    with pytest.raises(ValueError, match=r"could be any of mic:usb-1235:8210 .*, mic:usb-1235:8211 "):
        two.chosen("scarl")


def test_a_card_that_another_program_holds_is_listed_and_refused_as_in_use(machine):
    held = machine().card(1, "Yeti", usb="046d:0ab7", busy=True)
    (device,) = held.found()
    assert (device.usable, device.owner, device.source) == (False, 4242, "mic:usb-046d:0ab7")
    with pytest.raises(ValueError, match=r"Yeti is in use by another program \(process 4242\)"):
        held.chosen("yeti")


def test_a_machine_without_sound_has_no_cards(tmp_path):
    assert sound_cards(tmp_path) == []
    with pytest.raises(ValueError, match="no microphone on this machine"):
        choose([], "")
