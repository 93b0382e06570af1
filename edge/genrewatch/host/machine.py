"""The temperature of the processor."""

from pathlib import Path

THERMAL = Path("/sys/class/thermal")
CPU_ZONES = ("cpu", "x86_pkg", "soc")


def cpu_temperature_c(thermal: Path = THERMAL) -> float | None:
    """Return the processor's temperature in degrees Celsius, from the kernel's thermal zones; None without one."""
    zones = sorted(thermal.glob("thermal_zone*"), key=lambda zone: not _is_cpu(zone))
    for zone in zones:
        try:
            return round(int((zone / "temp").read_text()) / 1000, 1)
        except (OSError, ValueError):  # a sensor that is switched off
            continue
    return None


def _is_cpu(zone: Path) -> bool:
    try:
        return (zone / "type").read_text().lower().startswith(CPU_ZONES)
    except OSError:
        return False
