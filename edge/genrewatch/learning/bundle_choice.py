"""The bundles that a node can use, by name, and the one that `genrewatch bundle use` chose.

The choice is a file of the state directory: it lasts over restarts, and a running daemon notices it. Without one, the
configuration counts.
"""

from dataclasses import dataclass
from pathlib import Path

from genrewatch.contract.errors import ConfigError, DataError, os_error_reason
from genrewatch.contract.ids import ID_CHARACTERS, is_id
from genrewatch.host.paths import SHIPPED_BUNDLE, write_durably
from genrewatch.host.private_files import give_to_owner

SHIPPED, CONFIGURED = "shipped", "configured"
MAX_BYTES = 200
MAX_LISTED = 200


@dataclass(frozen=True, kw_only=True)
class Bundles:
    """The places of bundles."""

    state: Path
    """State directory; learned bundles are in its folder `bundles`."""
    configured: Path
    """Bundle of the configuration, or the shipped one."""
    others: Path | None = None
    """Directory `mqtt.bundles` of the configuration."""

    @property
    def learned(self) -> Path:
        """Directory of the learned bundles."""
        return self.state / "bundles"

    def path(self, name: str) -> Path:
        """Return the directory of a bundle; ConfigError for a name without one."""
        if not is_id(name):
            raise ConfigError("bundle", f"found {name[:64]!a}", ID_CHARACTERS)
        for directory in filter(None, (self.others, self.learned)):
            if (directory / name).is_dir():
                return directory / name
        if name in (SHIPPED, CONFIGURED):
            return SHIPPED_BUNDLE if name == SHIPPED else self.configured
        raise ConfigError("bundle", f"no bundle {name}", "one that `genrewatch bundle list` prints")

    def names(self) -> list[str]:
        """Return the names of all bundles: the shipped and the configured one, then others by name."""
        found = set()
        for directory in filter(None, (self.others, self.learned)):
            try:
                found |= {path.name for path in directory.iterdir() if is_id(path.name) and path.is_dir()}
            except OSError:
                continue  # absent or not readable: there are none
        return [SHIPPED, CONFIGURED, *sorted(found - {SHIPPED, CONFIGURED})[:MAX_LISTED]]


class BundleChoice:
    """The name of the bundle that was chosen for a node."""

    def __init__(self, state: Path, node: str) -> None:
        self.path = state / f"bundle-{node}"

    def read(self) -> str:
        """Return the name, `configured` without a choice; DataError for a file with other content."""
        try:
            with open(self.path, "rb") as file:
                name = file.read(MAX_BYTES).decode("ascii", errors="replace").strip()
        except FileNotFoundError:
            return CONFIGURED
        except OSError as exc:
            raise DataError(str(self.path), f"cannot be read ({os_error_reason(exc)})") from None
        if not is_id(name):
            raise DataError(str(self.path), f"found {name[:64]!a}", "the name of a bundle")
        return name

    def write(self, name: str) -> None:
        """Choose a bundle; raises DataError where that cannot be written."""
        try:
            write_durably(self.path, name + "\n")
            give_to_owner(self.path)
        except OSError as exc:
            raise DataError(str(self.path), f"cannot be written ({os_error_reason(exc)})") from None
