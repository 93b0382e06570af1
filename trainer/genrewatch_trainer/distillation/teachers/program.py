"""The program around a teacher: crops on standard input, a vector for each on standard output, as `teach` starts it."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import ConfigError, GenrewatchError

Teacher = Callable[[NDArray[np.float32], int], NDArray[np.float32]]
"""Computes the vector of a crop (n,) at a sample rate."""


def run_program(name: str, folder: str, arguments: Sequence[str], open_teacher: Callable[[Path], Teacher]) -> int:
    """Write the vector of each crop on standard input until it ends; return 0, or 2 with a line on stderr.

    `arguments` are the folder of the weights, for which `folder` stands in messages, RATE and N_SAMPLES.
    """
    try:
        if len(arguments) != 3 or not all(number.isdigit() for number in arguments[1:]):
            raise ConfigError(name, f"found {' '.join(arguments) or 'nothing'}", f"{folder} RATE N_SAMPLES")
        vector, rate, n_samples = open_teacher(Path(arguments[0])), int(arguments[1]), int(arguments[2])
        while crop := sys.stdin.buffer.read(4 * n_samples):
            sys.stdout.buffer.write(vector(np.frombuffer(crop, "<f4"), rate).astype("<f4").tobytes())
    except GenrewatchError as exc:
        print(exc, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0
