"""The command line of the exporter: a run to a bundle, a bundle to a waveform model, and every check again.

genrewatch-export RUN -o BUNDLE [--waveform PATH]
genrewatch-export waveform BUNDLE -o PATH
genrewatch-export verify BUNDLE [--waveform PATH] [--audio FILE...]
"""

import argparse
import sys
from collections.abc import Sequence

from genrewatch.host.command_line import add_version, run_command
from genrewatch_export.commands import export, verify, waveform

PROGRAM = "genrewatch-export"
COMMANDS = {"verify": verify, "waveform": waveform}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; without the name of a command it is an export."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    named = bool(words) and words[0] in COMMANDS
    return run_command(command_parser() if named else export_parser(), words, extra="train")


def export_parser() -> argparse.ArgumentParser:
    """Return the parser of an export."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Turn a run into a bundle for the device.",
        epilog=f"Further commands: {PROGRAM} waveform BUNDLE -o PATH, {PROGRAM} verify BUNDLE.",
    )
    add_version(parser)
    export.add_arguments(parser)
    return parser


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of the commands that have a name."""
    top = argparse.ArgumentParser(prog=PROGRAM)
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS.values():
        command.add_parser(subparsers)
    return top
