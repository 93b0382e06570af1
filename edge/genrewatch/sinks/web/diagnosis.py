"""The diagnosis file: one .zip with all that a report of a problem needs, and without secrets."""

import io
import json
import os
import platform
import re
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from genrewatch import __version__
from genrewatch.host.untrusted_text import redact_urls

PACKAGES = (
    *("numpy", "ai-edge-litert", "tflite-runtime", "paho-mqtt", "sounddevice", "soxr", "waitress", "amqtt"),
    *("pillow", "tensorflow", "keras"),
)
NETWORK_SCHEMES = {
    *("http", "https", "mqtt", "mqtts", "ws", "wss", "rtsp", "rtsps", "rtmp", "rtmps"),
    *("srt", "udp", "rtp", "mmsh", "tcp"),
}
_HOST = re.compile(r"\b([A-Za-z][\w+.-]*)://[\w.:%\[\]-]*")
README = """\
A diagnosis of genrewatch, for a report of a problem. It holds no sound and no history. Passwords, logins, arguments of
commands, and paths and queries of URLs were removed; please look before you send it.

versions.json  genrewatch, Python, packages, machine
config.json    the settings in use
health.json    the diagnostics of the running daemon
doctor.json    the last result of `genrewatch doctor`
log.txt        the last lines of the log
"""


def diagnosis_zip(parts: Mapping[str, Any]) -> bytes:
    """Return a .zip with a file for each part: text, or JSON; each URL is reduced to its scheme and host."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, part in {"README.txt": README, "versions.json": versions(), **parts}.items():
            text = part if isinstance(part, str) else json.dumps(without_urls(part), indent=1, ensure_ascii=False)
            made.writestr(name, without_secrets(text) if isinstance(part, str) else text)
    return file.getvalue()


def log_text(lines: Sequence[str]) -> str:
    """Return lines of the log as the text of a file."""
    return "".join(f"{line}\n" for line in lines)


def versions() -> dict[str, Any]:
    """Return what runs here: versions of genrewatch, Python and the packages it uses, and the machine."""
    return {
        "genrewatch": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "board": _board(),
        "cpus": os.cpu_count(),
        "memory_mb": _memory_mb(),
        "packages": {name: found for name in PACKAGES if (found := _version(name)) is not None},
    }


def without_urls(value: Any) -> Any:
    """Return JSON fields with each URL in them reduced to its scheme and host, and without titles and stations."""
    if isinstance(value, Mapping):
        return {key: without_urls(inner) for key, inner in value.items() if key not in ("title", "station")}
    if isinstance(value, list | tuple):
        return [without_urls(inner) for inner in value]
    return without_secrets(value) if isinstance(value, str) else value


def without_secrets(text: str) -> str:
    """Reduce each URL in a text to its scheme and host, and to its scheme where that is a service, not a network's.

    The host of `ntfy://TOPIC` or `tgram://TOKEN` is the secret.
    """
    return _HOST.sub(lambda url: url[0] if url[1].lower() in NETWORK_SCHEMES else f"{url[1]}://...", redact_urls(text))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _board() -> str | None:
    """Return the name of a single-board computer; None on other machines."""
    try:
        return Path("/proc/device-tree/model").read_text(encoding="utf-8").rstrip("\0\n")
    except (OSError, UnicodeDecodeError):
        return None


def _memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (OSError, ValueError):
        return None
