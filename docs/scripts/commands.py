"""The reference of the three command lines, read from their argparse parsers.

Written from the parsers' actions and not from `format_help`, whose layout differs between versions of Python.
"""

import argparse
from collections.abc import Iterator

from docs.scripts.markdown import code, page, table

from genrewatch.daemon.config_file.tables import sentence

INTRODUCTION = """\
Every command takes `--help`. Exit codes are the same everywhere: 0 when the command is done, 1 when it ran and found
something wrong (a file that cannot be read, a check that fails), 2 when an option, a file or a package is not usable
(one line on standard error says which), 130 after Ctrl-C.
"""


def commands_page(*parsers: argparse.ArgumentParser) -> str:
    """Return the page of all commands and options of the given command lines."""
    return page("Commands", INTRODUCTION, *(part for parser in parsers for part in _command_line(parser)))


def _command_line(parser: argparse.ArgumentParser) -> Iterator[str]:
    if parser.description:  # a parser without one adds commands to the command line before it
        yield f"## {parser.prog}\n\n{sentence(parser.description)}"
    if own := _options(parser):
        yield f"    {usage(parser)}"
        yield own
    if parser.epilog:
        yield sentence(parser.epilog)
    for help_text, below in subcommands(parser):
        yield from _command(below, help_text)


def _command(parser: argparse.ArgumentParser, help_text: str) -> Iterator[str]:
    yield f"### {parser.prog}"
    yield sentence(parser.description or help_text)
    yield f"    {usage(parser)}"
    yield _options(parser)
    for below_help, below in subcommands(parser):
        yield from _command(below, below_help)


def subcommands(parser: argparse.ArgumentParser) -> list[tuple[str, argparse.ArgumentParser]]:
    """Return the help text and the parser of each command directly below `parser`."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            found += [(helps.get(name, ""), below) for name, below in action.choices.items()]
    return found


def options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments and options of a command, without `--help` and its commands."""
    hidden = (argparse._HelpAction, argparse._SubParsersAction)
    return [action for action in parser._actions if not isinstance(action, hidden) and action.help != argparse.SUPPRESS]


def _options(parser: argparse.ArgumentParser) -> str:
    rows = [(code(_spelling(action)), meaning(action)) for action in options(parser)]
    return table(("option", "meaning"), rows) if rows else ""


def usage(parser: argparse.ArgumentParser) -> str:
    """Return a command with its arguments and options on one line."""
    shown = options(parser)
    positional = [_optional(action) for action in shown if not action.option_strings]
    return " ".join([parser.prog, *positional, *(_optional(action) for action in shown if action.option_strings)])


def _optional(action: argparse.Action) -> str:
    text = f"{action.option_strings[0]} {_value(action)}".strip() if action.option_strings else _value(action)
    required = action.required if action.option_strings else action.nargs not in ("?", "*")
    shown = text if required else f"[{text}]"
    return shown + "..." if isinstance(action, argparse._AppendAction) else shown


def _spelling(action: argparse.Action) -> str:
    return ", ".join(f"{name} {_value(action)}".strip() for name in action.option_strings or ("",))


def _value(action: argparse.Action) -> str:
    """Return how the value of an option is written; empty for a switch."""
    if action.nargs == 0:
        return ""
    name = action.metavar or ("|".join(map(str, action.choices)) if action.choices is not None else action.dest.upper())
    if isinstance(name, tuple):
        return " ".join(name)
    return f"{name}..." if action.nargs in ("+", "*") else name


def meaning(action: argparse.Action) -> str:
    """Return the help text of an option, with its default and whether it is required where the text lacks them."""
    parts = [" ".join((action.help or "").split())]
    if action.required and action.option_strings:
        parts.append("required")
    elif (
        "default" not in parts[0].lower() and action.nargs != 0 and action.default not in (None, argparse.SUPPRESS, [])
    ):
        parts.append(f"default {code(str(action.default))}")
    return "; ".join(part for part in parts if part)
