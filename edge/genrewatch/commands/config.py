"""`genrewatch config`: checks a configuration file, shows the settings in force, prints an example, or makes a file."""

import argparse
from pathlib import Path

from genrewatch.commands.effective_config import add_config_options
from genrewatch.host.command_line import Run

FILE_HELP = "configuration file (TOML)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands below `config`, each with its options."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="find every fault of a file, without opening anything")
    check.add_argument("file", type=Path, metavar="FILE", help=FILE_HELP)
    check.add_argument("--open", action="store_true", help="then try its sources, its broker and its hooks as well")
    check.set_defaults(action=run_check)
    show = commands.add_parser("show", help="print the settings of `listen`, and where each is set; secrets are hidden")
    add_config_options(show)
    show.add_argument("--json", action="store_true", help="print JSON lines")
    show.set_defaults(action=run_show)
    example = commands.add_parser("example", help="print a file with every key, its meaning and its default")
    example.set_defaults(action=run_example)
    init = commands.add_parser("init", help="ask for source, broker, name and location, and write a file with comments")
    init.add_argument(
        "file", type=Path, nargs="?", default=Path("genrewatch.toml"), metavar="FILE", help="file to write"
    )
    init.add_argument("--yes", action="store_true", help="take every default without asking; an existing file is kept")
    init.set_defaults(action=run_init)


def run(args: argparse.Namespace) -> int:
    """Run the command below `config`; return its exit code."""
    action: Run = args.action
    return action(args)


def run_check(args: argparse.Namespace) -> int:
    """Print a line for each fault; 2 with one, with `--open` 1 for a part that does not work."""
    from genrewatch.commands.config_check import check

    return check(args.file, try_parts=args.open)


def run_show(args: argparse.Namespace) -> int:
    """Print every setting with its origin; returns 0."""
    from genrewatch.commands.config_show import show

    return show(args)


def run_example(args: argparse.Namespace) -> int:
    """Print the example; returns 0."""
    from genrewatch.daemon.config_file.example import example_config

    print(example_config(), end="")
    return 0


def run_init(args: argparse.Namespace) -> int:
    """Ask and write a file; 1 when an existing one is kept."""
    from genrewatch.commands.config_init import init

    return init(args)
