"""The TFLite runtime under its present name or, on 32-bit ARM, its old one; no other module imports it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def interpreter(model: bytes) -> Any:
    """Return a single-threaded TFLite interpreter with allocated tensors; ValueError on an unreadable model."""
    with _quiet_stderr():  # the C++ runtime logs its delegate to stderr; its errors are exceptions
        try:
            loaded = _interpreter_class()(model_content=model, num_threads=1)
            loaded.allocate_tensors()
        except RuntimeError as exc:
            raise ValueError(str(exc)) from None
    return loaded


def runtime_version() -> str:
    """Return name and version of the installed runtime and numpy."""
    from importlib import metadata

    module = _interpreter_class().__module__.partition(".")[0]
    return f"{module} {metadata.version(module.replace('_', '-'))}, numpy {np.__version__}"


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    if sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    stderr, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        from tflite_runtime.interpreter import Interpreter
    return Interpreter
