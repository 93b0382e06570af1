"""Seeded randomness for every test, and property tests that search the same cases on every machine."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=30)
settings.load_profile("repeatable")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_020)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest rooms first: each worker process takes a whole module, for the sake of its fixtures."""
    items.sort(key=lambda item: _room(item) not in ("trainer", "export", "drill"))


def _room(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]
