"""`genrewatch config check`: every fault of a configuration file, then whether what it names works."""

import sys
from pathlib import Path

from genrewatch.commands.checks import broker_checks, hook_checks, print_checks, source_checks
from genrewatch.daemon.config import load_config
from genrewatch.daemon.config_file.faults import file_faults
from genrewatch.host.untrusted_text import printable


def check(path: Path, *, try_parts: bool) -> int:
    """Print a line for each fault and return 2; without one try the parts, 1 for one that does not work."""
    if found := file_faults(path):
        for line in found:
            print(f"genrewatch: {printable(line)}", file=sys.stderr)
        return 2
    if not try_parts:
        print(f"{path}: no faults; `genrewatch config check --open {path}` tries what it names")
        return 0
    config = load_config(path)
    checks = [*source_checks(config), *broker_checks(config.mqtt), *hook_checks(config.hook)]
    return print_checks(checks, as_json=False)
