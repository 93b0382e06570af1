"""The glossary of CONTRIBUTING.md holds: retired words stay out of names, docstrings and messages.

Each retired word has one standard term; the list says which, so that a failure says what to write instead.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("edge", "trainer", "export")

RETIRED = {
    "tell": "notify, report",
    "tells": "notify, report",
    "told": "notified, given",
    "obey": "carry out a command",
    "obeyed": "carried out",
    "greet": "publish the birth",
    "greeting": "birth",
    "farewell": "offline message",
    "courier": "history transport",
    "ticket": "packet id",
    "struck": "deleted",
    "judge": "evaluate",
    "judged": "evaluated, recorded",
    "judges": "evaluates",
    "complaint": "error line",
    "complains": "logs",
    "heard": "received",
    "hear": "receive",
    "hears": "receives",
    "whoever": "name the reader or the caller",
    "anew": "again",
    "picture": "image, figure",
    "pictures": "images, figures",
}
ALLOWED = {
    "heard_s",
    "heard_h",
    "heard_seconds",
    "seconds_heard",
    "Segments heard",
    "begun_anew",
    "farewell_s",
    "judged.npz",
}
"""Fields, columns, entity names and files that users depend on."""
OPENINGS = ("What", "Whether", "Of", "That", "Who", "How", "Where", "When", "Which")
THIRD_PERSON = re.compile(r"^(Returns|Gives|Makes|Says|Takes|Writes|Reads|Holds|Keeps|Waits|Ends|Sends|Raises)\b")


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@cache
def trees() -> list[tuple[Path, ast.Module]]:
    return [(path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))) for path in modules()]


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower())


def test_names_use_the_glossary():
    found = [
        f"{path}:{line}: {name} ({word}: {RETIRED[word]})"
        for path, tree in trees()
        for line, name in names(tree)
        if not any(allowed in name for allowed in ALLOWED)
        for word in words(name)
        if word in RETIRED
    ]
    assert not found, "\n".join(found)


def test_docstrings_and_messages_use_the_glossary():
    found = [
        f"{path}:{line}: {word}: {RETIRED[word]}"
        for path, tree in trees()
        for line, text in texts(tree)
        for word in words(re.sub(r"`[^`]*`", " ", re.sub("|".join(ALLOWED), " ", text)))
        if word in RETIRED
    ]
    assert not found, "\n".join(found)


def test_docstrings_open_with_a_verb_or_their_subject():
    found = [
        f"{path}:{getattr(node, 'lineno', 1)}: {text.splitlines()[0]}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node))
        if text.split()[0] in OPENINGS or (isinstance(node, ast.FunctionDef) and THIRD_PERSON.match(text))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("text", ["What it is.", "Returns it."])
def test_the_check_of_openings_sees_a_breach(text):
    assert text.split()[0] in OPENINGS or THIRD_PERSON.match(text)
