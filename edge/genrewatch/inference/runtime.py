"""The TFLite runtime under its present name, or, on 32-bit ARM, under its old one. Nothing else imports either."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def interpreter(model: bytes) -> Any:
    """A single-threaded TFLite interpreter with its tensors allocated; raises ValueError on a model it cannot read."""
    with _quiet_stderr():  # the runtime announces its delegate there, from C++; its errors come as exceptions
        try:
            made = _interpreter_class()(model_content=model, num_threads=1)
            made.allocate_tensors()
        except RuntimeError as exc:
            raise ValueError(str(exc)) from None
    return made


def runtime_version() -> str:
    """Name and version of the runtime that is installed."""
    from importlib import metadata

    module = _interpreter_class().__module__.partition(".")[0]
    return f"{module} {metadata.version(module.replace('_', '-'))}, numpy {np.__version__}"


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    if sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        from tflite_runtime.interpreter import Interpreter
    return Interpreter
