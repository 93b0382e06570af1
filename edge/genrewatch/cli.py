"""The command line of the device: `genrewatch listen | history | report | classify | ...`.

Each command is a module of `genrewatch.commands` with its options (`add_arguments`) and what it does (`run`). Only the
module of the command that is run is imported, since several take long to import.
"""

import argparse
import sys
from collections.abc import Collection, Sequence
from importlib import import_module

from genrewatch.host.command_line import add_version, interrupted, run_command

COMMANDS = {
    "listen": "listen to sources and publish verdicts",
    "history": "print the history of verdicts; `history verify` checks its hash chain",
    "report": "airtime by genre, silence, refusals and lost sound",
    "reload": "make a running `listen` read its configuration again",
    "correct": "say what a spell really was; list the corrections",
    "learn": "learn from corrected spells: a new bundle, if it is better",
    "bundle": "list bundles, show one, and choose the one to use",
    "replay": "derive recorded verdicts again from their posteriors, and compare",
    "backup": "write history, node id, settings and configuration into one file, while the daemon runs",
    "restore": "put a backup onto a new card",
    "clean-mqtt": "delete a node's retained messages from the broker, and so the device from Home Assistant",
    "classify": "classify sound files and folders",
    "devices": "list microphones and the --source that opens each",
    "config": "check a configuration file, show the settings in force, print an example, make a file",
    "doctor": "check bundle, runtime, decoder, microphone, broker and disk",
    "diagnose": "write one file with all that a problem report needs, without passwords",
    "bench": "measure speed and memory on this machine",
    "drill": "inject every fault that a source can have, and check what the daemon reports",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        chosen = parser(argv[:1])
    except KeyboardInterrupt:  # the imports take seconds on a small machine
        return interrupted("genrewatch")
    return run_command(chosen, argv)


def parser(commands: Collection[str] = COMMANDS.keys()) -> argparse.ArgumentParser:
    """Return the parser with the options of `commands`; the others have only their name and help."""
    top = argparse.ArgumentParser(prog="genrewatch", description="Recognises the genre of music and publishes it.")
    add_version(top)
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = subparsers.add_parser(name, help=text)
        if name in commands:
            module = import_module(f"genrewatch.commands.{name.replace('-', '_')}")
            command.set_defaults(run=module.run)
            module.add_arguments(command)
    return top
