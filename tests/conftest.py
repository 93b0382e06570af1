"""Seeded randomness for every test, and property tests that search the same cases on every machine."""

from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import settings

LONGEST_ROOMS = ("trainer", "export", "drill", "daemon", "sources", "web")

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=30)
settings.load_profile("repeatable")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_020)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest rooms first: each worker process takes a whole module, for the sake of its fixtures.

    Modules that compute and modules that wait for servers are mixed, so that all processors are used.
    """
    items.sort(key=lambda item: (_room(item) not in LONGEST_ROOMS, crc32(str(item.path).encode())))


def _room(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]
