"""Options that choose labelled sound files, a folder per genre, and the files they choose."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genrewatch.contract.errors import ConfigError, DataError


def add_part(parser: argparse.ArgumentParser) -> None:
    """Add `--splits` and `--part`."""
    parser.add_argument("--splits", type=Path, metavar="TSV", help="use only clips that this table puts into --part")
    parser.add_argument("--part", metavar="SCHEME:PART,PART", help="such as fault_filtered:valid")


def labelled_files(parsed: argparse.Namespace, genres: Sequence[str]) -> dict[str, list[Path]]:
    """Return the sound files in `--audio` of each of the bundle's genres that `--part` allows; raises DataError."""
    from genrewatch_trainer.evaluation.programme import genre_files

    allowed = _names_of_part(parsed)
    files = {
        genre: [path for path in paths if allowed is None or path.stem in allowed]
        for genre, paths in genre_files(parsed.audio).items()
        if genre in genres
    }
    files = {genre: paths for genre, paths in files.items() if paths}
    if not files:
        raise DataError(str(parsed.audio), "no clip of a genre that the bundle knows", "one of " + " ".join(genres))
    return files


def _names_of_part(parsed: argparse.Namespace) -> set[str] | None:
    """Return the names of the clips in `--part`; None = all clips are allowed."""
    from genrewatch_trainer.data.splits import read_splits
    from genrewatch_trainer.evaluation.evaluate import parse_split

    if (parsed.splits is None) != (parsed.part is None):
        raise ConfigError("--splits, --part", "one without the other", "both, or neither")
    if parsed.splits is None:
        return None
    scheme, parts = parse_split(parsed.part)
    schemes = read_splits(parsed.splits).schemes
    if set(parts.split(",")) - set(schemes.get(scheme, {}).values()):
        raise ConfigError("--part", f"found {parsed.part}", "of the schemes " + ", ".join(schemes))
    return {name for name, found in schemes[scheme].items() if found in parts.split(",")}
