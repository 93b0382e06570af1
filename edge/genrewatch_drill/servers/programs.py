"""Programs that the servers need, found on the PATH and in the directories of system services."""

import os
import shutil

from genrewatch.contract.errors import GenrewatchError

SYSTEM_PATH = os.pathsep.join(["/usr/sbin", "/usr/local/sbin"])
PACKAGES = {"mosquitto": "mosquitto", "mosquitto_passwd": "mosquitto", "icecast2": "icecast2", "ffmpeg": "ffmpeg"}
PACKAGES |= {"openssl": "openssl", "promtool": "prometheus", "prometheus": "prometheus", "chromium": "chromium"}


def find_program(name: str) -> str | None:
    """Return the path of a program, or None when it is not installed."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), SYSTEM_PATH]))


def require_program(name: str) -> str:
    """Return the path of a program; GenrewatchError when it is not installed."""
    found = find_program(name)
    if found is None:
        raise GenrewatchError(name, "is not installed", f"apt install {PACKAGES.get(name, 'mosquitto-clients')}")
    return found
