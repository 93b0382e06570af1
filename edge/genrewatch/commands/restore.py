"""`genrewatch restore`: puts a backup into the state directory of a box, as on a new card."""

import argparse
from pathlib import Path

from genrewatch.history.backup.archive import CONFIG, Archive
from genrewatch.history.backup.load import Restoration
from genrewatch.host.node import state_directory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("file", type=Path, metavar="FILE", help="archive of `genrewatch backup`")
    parser.add_argument("--config", type=Path, metavar="CONFIG", help="where to write the archive's configuration file")
    parser.add_argument("--state", type=Path, metavar="DIR", help="state directory (default that of this user)")
    parser.add_argument("--replace", action="store_true", help="overwrite what is there")


def run(args: argparse.Namespace) -> int:
    """Restore; returns 0."""
    directory = args.state or state_directory()
    with Archive(args.file) as archive:
        restoration = Restoration(archive, directory, args.config)
        restoration.run(replace=args.replace)
        manifest = archive.manifest
    print(f"{directory}: node {manifest.node} as of {manifest.created}, written by genrewatch {manifest.genrewatch}")
    print(f"records continue with number {restoration.first_seq}, above all that the old card may have published")
    if CONFIG in manifest.files and args.config is None:
        print("the configuration in the archive was not written: --config CONFIG does")
    return 0
