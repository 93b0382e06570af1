"""The sound cards that Linux lists, each with an identity that survives a reboot, a replug and a changed index.

usb-046d:0ab7-SERIAL         vendor, product and serial number of a USB device
usb-046d:0ab7                one without a serial number
usb-0d8c:0014@0000:00:14.0-1.2    the same with its port (USB controller, then the ports from hub to hub), printed
                             where two devices do not differ otherwise
card-ID                      any other card, by the id that ALSA gives it
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CARD_LINE = re.compile(r"^\s*(\d+) \[.*?\]: (?:.*? - )?(.*)$", re.MULTILINE)
_NOT_IN_URIS = re.compile(r"[^A-Za-z0-9._:+-]+")


@dataclass(frozen=True, kw_only=True)
class SoundCard:
    """One card with at least one input."""

    number: int
    """ALSA's index, which changes."""
    id: str
    """ALSA's short name."""
    name: str
    """Name for people."""
    usb: str | None
    """`usb-VENDOR:PRODUCT`."""
    serial: str | None
    """Serial number of the USB device."""
    port: str | None
    """USB controller and ports from hub to hub."""
    inputs: tuple[int, ...]
    """Numbers of the PCM devices that record."""
    owner: int | None
    """Process that records from it now."""

    @property
    def forms(self) -> list[str]:
        """All forms of its identity, the usual one first."""
        if self.usb is None:
            return [f"card-{self.id}"]
        whole = f"{self.usb}-{self.serial}" if self.serial else self.usb
        placed = [f"{form}@{self.port}" for form in (whole, self.usb)]
        return list(dict.fromkeys([whole, self.usb, *placed, f"card-{self.id}"]))


def sound_cards(root: Path) -> list[SoundCard]:
    """Return the cards that record, by number; `root` holds /sys and /proc. Empty where there is no ALSA."""
    found = [
        _read_card(root, path)
        for path in sorted((root / "sys/class/sound").glob("card[0-9]*"))
        if path.name.removeprefix("card").isdecimal()
    ]
    return sorted((card for card in found if card.inputs), key=lambda card: card.number)


def identity(card: SoundCard, cards: Sequence[SoundCard]) -> str:
    """Return the shortest lasting identity that no other card has, with its port where nothing else differs."""
    usual = card.forms[0]
    if card.port and any(other.number != card.number and other.forms[0] == usual for other in cards):
        return f"{usual}@{card.port}"
    return usual


def _read_card(root: Path, path: Path) -> SoundCard:
    number = int(path.name.removeprefix("card"))
    proc = root / "proc/asound"
    names = dict(_CARD_LINE.findall(_text(proc / "cards")))
    card_id = _text(path / "id") or path.name
    device = path.resolve().parent.parent.parent  # of .../USB_DEVICE/INTERFACE/sound/cardN
    vendor, product = _text(device / "idVendor"), _text(device / "idProduct")
    folders = sorted((proc / path.name).glob("pcm[0-9]*c"), key=_pcm_number)
    return SoundCard(
        number=number,
        id=card_id,
        name=names.get(str(number)) or card_id,
        usb=f"usb-{vendor}:{product}" if vendor and product else None,
        serial=_NOT_IN_URIS.sub("_", _text(device / "serial")) or None,
        port=_port(device) if vendor else None,
        inputs=tuple(_pcm_number(folder) for folder in folders),
        owner=next((owner for folder in folders if (owner := _owner(folder))), None),
    )


def _port(device: Path) -> str:
    """`.../0000:00:14.0/usb1/1-1/1-1.2` -> `0000:00:14.0-1.2`: the number of the bus may change, the controller not."""
    bus = next((parent for parent in device.parents if re.fullmatch(r"usb\d+", parent.name)), device)
    return f"{bus.parent.name}-{device.name.partition('-')[2]}"


def _pcm_number(folder: Path) -> int:
    return int(folder.name.removeprefix("pcm").removesuffix("c"))


def _owner(pcm: Path) -> int | None:
    found = re.search(r"owner_pid\s*:\s*(\d+)", _text(pcm / "sub0/status"))
    return int(found.group(1)) if found else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
