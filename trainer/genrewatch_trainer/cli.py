"""The command line of the trainer: `genrewatch-train prepare | fit | evaluate | ...`.

A user's mistake gives one line on standard error and exit code 2.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from genrewatch.host.command_line import add_version, interrupted, run_command

PROGRAM = "genrewatch-train"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        chosen = parser()
    except KeyboardInterrupt:
        return interrupted(PROGRAM)
    return run_command(chosen, arguments, extra="train")


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; what a command needs is imported when it runs."""
    top = argparse.ArgumentParser(prog=PROGRAM, description="From labelled sound files to a trained network.")
    add_version(top)
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")
    for command in commands():
        command.add_parser(subparsers)
    return top


def commands() -> tuple[Any, ...]:
    """Return the modules of the commands, whose imports take a while."""
    from genrewatch_trainer.commands import (
        adapt,
        benchmark_feed,
        classify,
        evaluate,
        evaluate_stream,
        fit,
        import_logmel,
        not_music,
        prepare,
        readout,
        refit,
        reproduce,
        reteach,
        robustness,
        sweep,
        teach,
    )

    return (
        prepare,
        import_logmel,
        not_music,
        fit,
        sweep,
        teach,
        readout,
        reteach,
        refit,
        adapt,
        evaluate,
        evaluate_stream,
        robustness,
        classify,
        reproduce,
        benchmark_feed,
    )
