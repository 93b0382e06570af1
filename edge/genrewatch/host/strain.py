"""Strain on the machine: a weak power supply, heat, short memory. A line each, and only while something is wrong."""

from collections.abc import Iterator
from pathlib import Path

from genrewatch.host.machine import cpu_temperature_c

THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
"""File of the Raspberry Pi's firmware: a hexadecimal number, its low four bits the present state."""
FIRMWARE = {
    0: "the power supply is too weak (under-voltage): use the one for this machine, and a short cable",
    1: "the processor's clock is limited by its firmware",
    2: "the processor is throttled by its firmware, because of heat or a weak power supply",
    3: "the processor is near its limit of temperature, and slowed down",
}
HOT_C = 85.0
PRESSURE = "proc/pressure/memory"
SHORT_PERCENT = 10.0
"""Share of the last minute in which everything waited for memory."""


def strain_problems(root: Path = Path("/")) -> list[str]:
    """Return what strains the machine at present; `root` is that of the file system."""
    return [*_firmware(root), *_heat(root), *_memory(root)]


def _firmware(root: Path) -> Iterator[str]:
    text = _read(root / THROTTLED)
    try:
        bits = int(text, 16)
    except ValueError:
        return
    yield from (problem for bit, problem in FIRMWARE.items() if bits & 1 << bit)


def _heat(root: Path) -> Iterator[str]:
    temperature = cpu_temperature_c(root / "sys/class/thermal")
    if temperature is not None and temperature >= HOT_C:
        yield f"the processor is hot, {temperature:.0f} °C: it needs air or a heat sink"


def _memory(root: Path) -> Iterator[str]:
    for line in _read(root / PRESSURE).splitlines():
        name, _, rest = line.partition(" ")
        values = dict(field.partition("=")[::2] for field in rest.split())
        try:
            waited = float(values.get("avg60", ""))
        except ValueError:
            continue
        if name == "full" and waited >= SHORT_PERCENT:
            yield f"memory is short: everything waited for it in {waited:.0f} % of the last minute"


def written_mb(root: Path = Path("/")) -> float | None:
    """Return what this process and its ended children have written to disks, MB; None where that is not counted."""
    for line in _read(root / "proc/self/io").splitlines():
        key, _, value = line.partition(": ")
        if key == "write_bytes" and value.isdecimal():
            return round(int(value) / 1e6, 3)
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
