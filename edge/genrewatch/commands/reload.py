"""`genrewatch reload`: make a running daemon read its configuration again, and print what it has changed."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genrewatch.contract.errors import ConfigError, GenrewatchError, os_error_reason
from genrewatch.history.locate import SERVICE_STATE
from genrewatch.host.node import state_directory
from genrewatch.host.running import read_answer, running_nodes

POLL_S = 0.05
LONGEST_S = 60.0
"""Longest wait for the daemon's answer: the check of another bundle can take half of it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--node", metavar="ID", help="node, where several run")
    parser.add_argument("--state", type=Path, metavar="DIR", help="state directory of the daemon")


def run(args: argparse.Namespace) -> int:
    """Reload; 0 when the configuration is in use, 2 when it is refused."""
    directory, node, pid = find_daemon(args.state, args.node)
    before = read_answer(directory, node).get("id")
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as exc:
        raise GenrewatchError(
            f"process {pid} of {node}", os_error_reason(exc), "the user who runs it, or root"
        ) from None
    answer = _wait(directory, node, before)
    if answer.get("refused"):
        print(f"refused, nothing has changed: {answer['refused']}", file=sys.stderr)
        return 2
    for line in answer.get("changes") or ["nothing has changed"]:
        print(line)
    if keys := answer.get("needs_restart"):
        print(f"takes effect at the next start: {', '.join(keys)}")
    return 0


def find_daemon(state: Path | None, wanted: str | None) -> tuple[Path, str, int]:
    """Return state directory, node and process id of the running daemon; raises ConfigError when there is not one."""
    directories = [state] if state else [state_directory(), SERVICE_STATE]
    for directory in directories:
        running = _running(directory)
        if wanted is not None:
            running = {node: pid for node, pid in running.items() if node == wanted}
        if len(running) > 1:
            raise ConfigError("--node", f"several daemons in {directory}", f"one of {', '.join(running)}")
        for node, pid in running.items():
            if pid is None:
                raise ConfigError(str(directory), f"{node} is starting or ending", "a daemon that listens")
            return directory, node, pid
    where = " and ".join(map(str, directories))
    raise ConfigError(where, "no daemon runs here" + (f" as {wanted}" if wanted else ""), "--state DIR, perhaps sudo")


def _running(directory: Path) -> dict[str, int | None]:
    try:
        return running_nodes(directory)
    except OSError as exc:
        raise ConfigError(str(directory), os_error_reason(exc), "the user who runs the daemon, or root") from None


def _wait(directory: Path, node: str, before: object) -> Mapping[str, Any]:
    """Return the daemon's next answer; raises GenrewatchError when none comes."""
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        answer = read_answer(directory, node)
        if answer and answer.get("id") != before:
            return answer
        if node not in running_nodes(directory):
            raise GenrewatchError(node, "has ended", "its log to say why")
        time.sleep(POLL_S)
    raise GenrewatchError(node, f"has not answered for {LONGEST_S:g} s", "its log to say why")
