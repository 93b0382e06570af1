"""The result of one row of a drill, and the exception that fails it."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "fail", "skipped"]


class CheckFailed(Exception):
    """A check of the drill does not hold; the text describes what was observed instead."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Observations of a row."""

    seen: str
    """A short description for people."""
    recovered_s: float | None = None
    """Seconds from the fault until sound arrived again; None where nothing had to recover."""
    lost_s: float | None = None
    """Seconds of sound lost, as the daemon counts them."""
    really_lost_s: float | None = None
    """Seconds of sound really lost, where they are known."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """A row with its verdict."""

    name: str
    """The name for `--only`."""
    fault: str
    """The fault, for people."""
    verdict: Verdict
    outcome: Outcome
