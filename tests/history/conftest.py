"""A place and a state directory for the commands that read a history."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Set up a node in Berlin (UTC+1 in November) whose state directory is `tmp_path`."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    monkeypatch.setenv("GENREWATCH_STATE", str(tmp_path))
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
