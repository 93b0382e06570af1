"""The part that all command lines of the project share: `--version`, one-line errors and exit codes."""

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence

from genrewatch import __version__
from genrewatch.contract.errors import GenrewatchError, not_installed, os_error_reason
from genrewatch.host.untrusted_text import printable

Run = Callable[[argparse.Namespace], int]


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add `--version`."""
    parser.add_argument("--version", action="version", version=f"{parser.prog} {__version__}")


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None, *, extra: str | None = None) -> int:
    """Parse `argv` (default the process's), call the parser's default `run` with the result, return the exit code.

    A GenrewatchError or an OSError is one line on stderr and exit code 2, as is a package that is not installed if
    `extra` names the extra of genrewatch that brings it. Ctrl-C is one line and 130, a
    stdout closed by its reader 0.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name need not be valid text
    if "--version" in (sys.argv[1:] if argv is None else argv):  # of any command
        argv = ["--version"]
    args = parser.parse_args(argv)
    run: Run = args.run
    try:
        code = run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return interrupted(parser.prog)
    except BrokenPipeError:  # the reader of stdout, such as `head`, has exited
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (GenrewatchError, OSError, ModuleNotFoundError) as exc:
        print(f"{parser.prog}: {_line(exc, extra)}", file=sys.stderr)
        return 2
    return code


def interrupted(program: str) -> int:
    """Print one line after Ctrl-C, and return the exit code."""
    print(f"{program}: interrupted", file=sys.stderr)
    return 130


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that has started this worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _line(exc: Exception, extra: str | None) -> str:
    if isinstance(exc, ModuleNotFoundError):
        if extra is None:
            raise exc
        return str(not_installed(exc, extra))
    if isinstance(exc, OSError):
        reason = os_error_reason(exc)
        return f"{exc.filename}: {reason}" if exc.filename else reason
    return printable(str(exc))
