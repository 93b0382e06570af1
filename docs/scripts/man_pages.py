"""Man pages and the completion of bash, from the command line: `python -m docs.scripts.man_pages DIRECTORY VERSION`."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from docs.scripts.commands import meaning, options, subcommands, usage

from genrewatch import cli

COMPLETION = """\
# Completion of genrewatch's commands, options and files in bash.
_genrewatch() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} words=
    if [ "$COMP_CWORD" = 1 ]; then
        words="{commands}"
    else
        case ${{COMP_WORDS[1]}} in
{cases}
        esac
    fi
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ] || [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}}
complete -o filenames -F _genrewatch genrewatch
"""


def files(top: argparse.ArgumentParser, version: str) -> dict[str, str]:
    """Return the text of each file by its name: a page for the program and for each command, and the completion."""
    below = subcommands(top)
    pages = {f"{_page_name(parser)}.1": command_page(parser, text, version) for text, parser in below}
    return {"genrewatch.1": top_page(top, version), **pages, "genrewatch.bash": completion(top)}


def top_page(top: argparse.ArgumentParser, version: str) -> str:
    """Return the page of the program, which lists its commands."""
    commands = [part for text, parser in subcommands(top) for part in (".TP", _bold(parser.prog), _text(text))]
    pages = ", ".join(f".BR {_page_name(parser)} (1)".removeprefix(".BR ") for _, parser in subcommands(top))
    return _lines(
        _head("genrewatch", "recognise the music genre that plays, and publish it over MQTT", version),
        [".SH SYNOPSIS", ".B genrewatch", _text("COMMAND [OPTION]...")],
        [".SH DESCRIPTION", _text(top.description or "")],
        [".SH COMMANDS", *commands],
        [".SH FILES", ".TP", _bold("/etc/genrewatch.toml"), "configuration of the service, every key with its meaning"],
        [".TP", _bold("/var/lib/genrewatch"), "history, id of the node and switches of the service"],
        [
            ".SH EXIT STATUS",
            _text("0: done; 1: ran and found something wrong; 2: unusable option, file or package; 130: Ctrl-C"),
        ],
        [".SH SEE ALSO", _text(pages.replace(" (1)", "(1)"))],
    )


def command_page(parser: argparse.ArgumentParser, text: str, version: str) -> str:
    """Return the page of one command and of those below it."""
    return _lines(
        _head(_page_name(parser), text, version),
        [".SH SYNOPSIS", _text(usage(parser))],
        [".SH DESCRIPTION", _text(parser.description or text)],
        [".SH OPTIONS", *_options(parser)] if options(parser) else [],
        *(_below(found, found_text) for found_text, found in subcommands(parser)),
        [".SH SEE ALSO", ".BR genrewatch (1)"],
    )


def completion(top: argparse.ArgumentParser) -> str:
    """Return the completion of bash."""
    found = [parser for _, parser in subcommands(top)]
    names = [parser.prog.split()[-1] for parser in found]
    cases = [
        f'            {name}) words="{" ".join(_words(parser))}" ;;' for name, parser in zip(names, found, strict=True)
    ]
    return COMPLETION.format(commands=" ".join(names), cases="\n".join(cases))


def _words(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield "--help"
    for action in options(parser):
        yield from (name for name in action.option_strings if name.startswith("--"))


def _below(parser: argparse.ArgumentParser, text: str) -> list[str]:
    return [f".SH {_text(parser.prog).upper()}", _text(text), ".PP", _text(usage(parser)), *_options(parser)]


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in options(parser):
        value = action.metavar if isinstance(action.metavar, str) else ""
        names = ", ".join(action.option_strings) or value or action.dest.upper()
        yield from (
            ".TP",
            _bold(f"{names} {value}".strip() if action.option_strings else names),
            _text(meaning(action)),
        )


def _head(name: str, text: str, version: str) -> list[str]:
    return [f'.TH {name.upper()} 1 "" "genrewatch {version}"', ".SH NAME", _text(name) + r" \- " + _text(text)]


def _page_name(parser: argparse.ArgumentParser) -> str:
    return parser.prog.replace(" ", "-")


def _bold(text: str) -> str:
    return rf"\fB{_text(text)}\fR"


def _text(text: str) -> str:
    """Return text that roff shows as it is."""
    shown = " ".join(text.replace("`", "").split()).replace("\\", r"\e").replace("-", r"\-")
    return r"\&" + shown if shown[:1] in (".", "'") else shown


def _lines(*parts: list[str]) -> str:
    return "".join(f"{line}\n" for part in parts for line in part)


def main(directory: str, version: str) -> None:
    """Write all files into the directory."""
    Path(directory).mkdir(parents=True, exist_ok=True)
    for name, text in files(cli.parser(), version).items():
        (Path(directory) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
