"""Keras and TensorFlow without their log lines on stderr, unless TF_CPP_MIN_LOG_LEVEL in the environment asks for them.

TensorFlow reads that variable only after its first lines, so those are held back while it is imported.
"""

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
ONLY_FATAL = "3"
LINES_WANTED = LOG_LEVEL in os.environ


def import_quietly(module: str) -> None:
    """Import a module that loads TensorFlow, such as keras, without its log lines; call it before the first import."""
    if LINES_WANTED or module in sys.modules:
        return
    os.environ[LOG_LEVEL] = ONLY_FATAL
    with held_back(2):
        import_module(module)


@contextmanager
def held_back(*descriptors: int) -> Iterator[None]:
    """Hold back what is written to these file descriptors, by C++ too; it is shown only if the block fails."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {number: os.dup(number) for number in descriptors}
    with tempfile.TemporaryFile() as held, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for number in kept:
                os.dup2(held.fileno(), number)
            yield
        except Exception:
            held.seek(0)
            os.write(kept.get(2, 2), held.read())
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, original in kept.items():
                os.dup2(original, number)
                os.close(original)
