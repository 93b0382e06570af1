"""Errors in what a user supplies, in one line: where, what was found, what was expected.

A command prints the message of a `GenrewatchError` and exits with code 2. Any other exception is a defect and keeps
its traceback.
"""


class GenrewatchError(Exception):
    """Base of all expected errors, with the attributes `where`, `found` and `expected`."""

    def __init__(self, where: str, found: str, expected: str = "") -> None:
        self.where, self.found, self.expected = where, found, expected
        super().__init__(f"{where}: {found}" + (f", expected {expected}" if expected else ""))


class ConfigError(GenrewatchError):
    """An invalid configuration file, command-line value or combination of them."""


class BundleError(GenrewatchError):
    """A bundle that is truncated, altered, of another format or wrong on this machine."""


class SourceError(GenrewatchError):
    """A source that cannot be opened or read."""


class DataError(GenrewatchError):
    """A feature store, run directory or table with invalid content."""


def os_error_reason(exc: Exception) -> str:
    """Return why the system refused, in lower case and without the path: `no such file or directory`."""
    reason = exc.strerror if isinstance(exc, OSError) else None
    return (reason or str(exc) or type(exc).__name__).lower()


def not_installed(missing: ModuleNotFoundError, extra: str) -> GenrewatchError:
    """Return the error that names the extra with a missing package; re-raise if the module is our own."""
    package = (missing.name or "").partition(".")[0]
    if package == "" or package.startswith("genrewatch"):
        raise missing
    wanted = (
        package if package in ("jax", "torch") else f"'genrewatch[{extra}]'"
    )  # other backends of Keras, in no extra
    return GenrewatchError(package, "is not installed", f"pip install {wanted}")


def require(holds: bool, key: str, found: object, expected: str) -> None:
    """Raise ConfigError naming `key` unless `holds`; for the value checks of configuration dataclasses."""
    if not holds:
        raise ConfigError(key, f"found {found}", expected)
