"""What can be wrong with what a user hands in, said in one line: where, what was found, what was expected.

A command prints the message of a `GenrewatchError` and exits with code 2. Anything else that is raised was not
foreseen, keeps its traceback and is a defect.
"""


class GenrewatchError(Exception):
    """Root of all foreseen errors; carries its facts in `where`, `found` and `expected`."""

    def __init__(self, where: str, found: str, expected: str = "") -> None:
        self.where, self.found, self.expected = where, found, expected
        super().__init__(f"{where}: {found}" + (f", expected {expected}" if expected else ""))


class ConfigError(GenrewatchError):
    """A configuration file, a command-line value or a combination of them that cannot work."""


class BundleError(GenrewatchError):
    """A bundle that is truncated, altered, foreign or wrong on this machine."""


class SourceError(GenrewatchError):
    """A source of sound that cannot be opened or read."""


class DataError(GenrewatchError):
    """A feature store, a run directory or a table that does not hold what it should."""


def os_error_reason(exc: Exception) -> str:
    """Return why the system refused, in lower case and without the path: `no such file or directory`."""
    reason = exc.strerror if isinstance(exc, OSError) else None
    return (reason or str(exc) or type(exc).__name__).lower()


def not_installed(missing: ModuleNotFoundError, extra: str) -> GenrewatchError:
    """The error that says which extra of genrewatch brings a package; a module of our own that is missing is raised."""
    package = (missing.name or "").partition(".")[0]
    if package == "" or package.startswith("genrewatch"):
        raise missing
    wanted = package if package in ("jax", "torch") else f"'genrewatch[{extra}]'"  # the other backends of Keras
    return GenrewatchError(package, "is not installed", f"pip install {wanted}")


def require(holds: bool, key: str, found: object, expected: str) -> None:
    """Raises ConfigError naming `key` unless `holds`; for the value checks of configuration dataclasses."""
    if not holds:
        raise ConfigError(key, f"found {found}", expected)
