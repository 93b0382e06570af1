"""The input devices of this machine, and the choice of one by identity or name, never by index."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genrewatch.sources.microphone.sound_cards import SoundCard, identity, sound_cards

RATES = (48_000, 44_100, 96_000, 32_000, 16_000, 8_000)
"""Sample rates to try, in this order, where a device refuses its own."""
_HARDWARE = re.compile(r"\s*\(hw:(\d+),(\d+)\)$")


@dataclass(frozen=True, kw_only=True)
class InputDevice:
    """A device that can be recorded from."""

    name: str
    """Its name, without the number of its card."""
    forms: tuple[str, ...]
    """Its lasting names, the one to use first."""
    host_api: str
    """PortAudio's host API for it."""
    index: int | None
    """PortAudio's index, valid only in this process; None when PortAudio cannot open it now."""
    rate: int = 0
    """Its own sample rate."""
    channels: int = 0
    """Number of its inputs, of which the first two are recorded."""
    default: bool = False
    """Whether `mic:` without a name chooses it."""
    rates: tuple[int, ...] = ()
    """Sample rates that it accepts, if they were requested."""
    card: int | None = None
    """ALSA's present number of its card."""
    owner: int | None = None
    """Process that holds its card."""

    @property
    def usable(self) -> bool:
        """True when PortAudio can open it now."""
        return self.index is not None

    @property
    def source(self) -> str:
        """The URI that chooses it."""
        return f"mic:{self.forms[0]}"


def input_devices(sounddevice: Any, root: Path) -> list[InputDevice]:
    """Return all inputs, including those that PortAudio omits because another program holds them."""
    cards = sound_cards(root)
    found = [_named(device, cards) for device in _portaudio_inputs(sounddevice)]
    seen = {device.card for device in found}
    return [
        *_distinguish(found),
        *(
            InputDevice(name=card.name, forms=_forms(card, cards), host_api="ALSA", index=None, owner=card.owner)
            for card in cards
            if card.number not in seen
        ),
    ]


def _portaudio_inputs(sounddevice: Any) -> list[InputDevice]:
    """Return the inputs as PortAudio lists them, not yet named."""
    return [
        InputDevice(
            name=device["name"],
            forms=(),
            host_api=sounddevice.query_hostapis(device["hostapi"])["name"],
            index=index,
            rate=round(device["default_samplerate"]),
            channels=device["max_input_channels"],
            default=index == sounddevice.default.device[0],
        )
        for index, device in enumerate(sounddevice.query_devices())
        if device["max_input_channels"] > 0
    ]


def accepted_rates(sounddevice: Any, device: InputDevice) -> tuple[int, ...]:
    """Return which of the usual rates, and of its own, a device accepts, in ascending order."""
    return tuple(rate for rate in sorted({device.rate, *RATES}) if _accepts(sounddevice, device, rate))


def choose(found: Sequence[InputDevice], target: str) -> InputDevice:
    """Return the device that `target` names: an identity, a name, or a part of one name (any case); "" is the default.

    ValueError, with the sources to choose from, when none or several match, or another program holds it.
    """
    if not found:
        raise ValueError("no microphone on this machine")
    if not target:
        return _usable(next((device for device in found if device.default), found[0]))
    wanted = _HARDWARE.sub("", target).lower()
    if not wanted:
        raise ValueError(f"{target.strip()} is an index, which changes; there is: {_choices(found)}")
    matches = (
        [device for device in found if wanted == device.forms[0].lower()]
        or [device for device in found if wanted in (form.lower() for form in device.forms)]
        or [device for device in found if wanted in _names(device)]
        or [device for device in found if wanted in device.name.lower() and not wanted.isdecimal()]
    )
    if not matches:
        raise ValueError(f"no microphone named {target!r}, there is: {_choices(found)}")
    same = [device for device in matches if device.host_api == matches[0].host_api]
    if len({(device.card, device.name if device.card is None else "") for device in same}) > 1:
        raise ValueError(f"{target!r} could be any of {_choices(same)}")
    return _usable(same[0])


def _named(device: InputDevice, cards: Sequence[SoundCard]) -> InputDevice:
    """Add the identity of its card, if it has one."""
    hardware = _HARDWARE.search(device.name)
    name = _HARDWARE.sub("", device.name)
    card = next((card for card in cards if hardware and card.number == int(hardware.group(1))), None)
    if card is None or hardware is None:
        return replace(device, name=name, forms=(name,))
    return replace(device, name=name, forms=_forms(card, cards, int(hardware.group(2))), card=card.number)


def _forms(card: SoundCard, cards: Sequence[SoundCard], pcm: int | None = None) -> tuple[str, ...]:
    """Return a card's identities; those of any but its first input end in `,NUMBER`."""
    best = list(dict.fromkeys([identity(card, cards), *card.forms]))
    if pcm is None or not card.inputs or pcm == card.inputs[0]:
        return tuple(best)
    return tuple(f"{form},{pcm}" for form in best)


def _distinguish(found: Sequence[InputDevice]) -> list[InputDevice]:
    """Prefix devices without a card that share a name with their host API."""
    names = [device.forms[0] for device in found]
    return [
        replace(device, forms=(f"{device.host_api}/{device.name}", *device.forms))
        if device.card is None and names.index(device.forms[0]) < number
        else device
        for number, device in enumerate(found)
    ]


def _names(device: InputDevice) -> set[str]:
    whole = device.name.lower()
    return {whole, whole.partition(": ")[0]}


def _usable(device: InputDevice) -> InputDevice:
    if device.index is None:
        by = f" (process {device.owner})" if device.owner else ""
        raise ValueError(f"{device.name} is in use by another program{by}, or cannot be opened")
    return device


def _choices(found: Sequence[InputDevice]) -> str:
    return ", ".join(f"{device.source} ({device.name})" for device in found)


def _accepts(sounddevice: Any, device: InputDevice, rate: int) -> bool:
    try:
        sounddevice.check_input_settings(
            device=device.index, channels=min(2, device.channels), dtype="int16", samplerate=rate
        )
    except sounddevice.PortAudioError:
        return False
    return True
