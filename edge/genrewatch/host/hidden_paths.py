"""Paths that the sandbox of a systemd service hides: /home by `ProtectHome=`, /tmp by `PrivateTmp=`.

They exist for the user who writes the configuration and not for the service, so an error must name the reason.
"""

import os
from pathlib import Path

from genrewatch.contract.errors import ConfigError

MOUNTS = Path("/proc/self/mountinfo")
DIRECTORIES = {
    "/home": "ProtectHome=",
    "/root": "ProtectHome=",
    "/run/user": "ProtectHome=",
    "/tmp": "PrivateTmp=",
    "/var/tmp": "PrivateTmp=",
}
"""Directories that a sandbox can hide, with the setting of the unit."""
SIGNS = ("/systemd/inaccessible/", "/systemd-private-")
"""Parts of the directory that systemd mounts in their place."""


def require_visible(path: Path, where: str, mounts: Path = MOUNTS) -> None:
    """Raise ConfigError, with `where` the path is set, if the sandbox of this service hides it."""
    absolute = Path(os.path.abspath(path))
    for directory, setting in DIRECTORIES.items():
        if absolute.is_relative_to(directory) and directory in _hidden(mounts):
            found = f"{absolute} is hidden from the service ({setting} of its unit hides {directory})"
            raise ConfigError(where, found, "a path elsewhere, as in /srv, /var/lib/genrewatch or /run")


def _hidden(mounts: Path) -> list[str]:
    """Return the directories in whose place systemd has mounted another one."""
    try:
        lines = [line.split() for line in mounts.read_text(errors="replace").splitlines()]
    except OSError:
        return []
    return [fields[4] for fields in lines if len(fields) > 4 and any(sign in fields[3] for sign in SIGNS)]
