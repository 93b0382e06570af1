"""Field docstrings: the strings below the fields of a class, which Python itself does not keep."""

import ast
import inspect


class MissingDocstring(Exception):
    """A field of a documented class has no docstring."""


def field_docs(cls: type) -> dict[str, str]:
    """Return the docstring of each annotated field of `cls`, in order; raises MissingDocstring."""
    body = _class_body(cls)
    found: dict[str, str] = {}
    for statement, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = _text(below)
            if text is None:
                raise MissingDocstring(
                    f"{cls.__module__}.{cls.__name__}.{statement.target.id} has no docstring below it"
                )
            found[statement.target.id] = text
    return found


def _class_body(cls: type) -> list[ast.stmt]:
    tree = ast.parse(inspect.getsource(cls).lstrip())
    definition = tree.body[0]
    assert isinstance(definition, ast.ClassDef)
    return definition.body


def _text(statement: ast.stmt | None) -> str | None:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        value = statement.value.value
        return inspect.cleandoc(value) if isinstance(value, str) else None
    return None
