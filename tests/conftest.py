"""Seeded randomness for every test, and property tests that search the same cases on every machine."""

from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=30)
settings.load_profile("repeatable")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_020)


@pytest.hookimpl(wrapper=True)  # so that it comes before pytest-xdist, which reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Keep the tests of a module in one worker process, for the sake of its fixtures; start the longest rooms first."""
    items.sort(key=lambda item: _room(item) not in ("trainer", "export", "drill"))
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
    yield


def _room(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]
