"""Commands that a user writes as one string; they run without a shell."""

import shlex

from genrewatch.contract.errors import ConfigError, require

EXPECTED = "a program and its arguments, quoted as in a shell"


def split_command(text: str, where: str) -> list[str]:
    """Split `notify "it is quiet"` into its words; ConfigError at `where`, without the arguments, if it has none."""
    try:
        words = shlex.split(text)
    except ValueError as exc:
        raise ConfigError(where, str(exc).lower(), EXPECTED) from None
    require(bool(words) and bool(words[0]), where, "no command", EXPECTED)
    require("\0" not in text, where, "a NUL character", EXPECTED)
    return words
