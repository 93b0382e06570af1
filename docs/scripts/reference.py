"""Writes the reference pages and the example configuration from the code: `make docs-reference`.

`--check` writes nothing and exits with 1 when a file differs from the code.
"""

import argparse
import sys
from pathlib import Path

from docs.scripts.commands import commands_page
from docs.scripts.configuration import configuration_page
from docs.scripts.environment import environment_page
from docs.scripts.metrics import metrics_page
from docs.scripts.openapi import PATH as OPENAPI_PATH
from docs.scripts.openapi import openapi
from docs.scripts.payloads import payloads_page
from docs.scripts.sources import sources_page

from genrewatch import cli
from genrewatch.daemon.config_file.example import example_config
from genrewatch_export.cli import command_parser, export_parser
from genrewatch_trainer.cli import parser as trainer_parser

ROOT = Path(__file__).parents[2]


def generated() -> dict[str, str]:
    """Return the text of each generated file by its path in the repository."""
    return {
        "docs/reference/commands.md": commands_page(cli.parser(), trainer_parser(), export_parser(), command_parser()),
        "docs/reference/configuration.md": configuration_page(),
        "docs/reference/sources.md": sources_page(),
        "docs/reference/payloads.md": payloads_page(),
        "docs/reference/environment.md": environment_page(),
        "docs/reference/metrics.md": metrics_page(),
        "deploy/genrewatch.toml": example_config(),
        OPENAPI_PATH: openapi(),
    }


def outdated(root: Path = ROOT) -> list[str]:
    """Return the generated files that are absent or differ from the code."""
    return [name for name, text in generated().items() if _read(root / name) != text]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def main() -> int:
    """Write the files, or only compare them."""
    parser = argparse.ArgumentParser(prog="python -m docs.scripts.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    differing = outdated()
    if parser.parse_args().check:
        for name in differing:
            print(f"{name}: differs from the code, run `make docs-reference`")
        return 1 if differing else 0
    for name in differing:
        (ROOT / name).write_text(generated()[name], encoding="utf-8")
        print(f"{name}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
