"""`genrewatch doctor` for the page: run in a child process, one at a time, so that nothing waits for it."""

import json
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genrewatch.contract.errors import os_error_reason
from genrewatch.host.defects import DefectLog
from genrewatch.host.process import ChildProcess
from genrewatch.host.times import rfc3339, utc_now
from genrewatch.host.untrusted_text import redact_urls

LIMIT_S = 120.0
"""Longest time for all checks, on a small machine too."""
MAX_CHECKS = 50
CODE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from genrewatch.cli import main; sys.exit(main())"
PACKAGES = str(Path(__file__).parents[3])


class Doctor:
    """Runs the checks and keeps their last result; any thread may call any method."""

    def __init__(self, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> None:
        """`arguments` are options of `genrewatch doctor`; `environment` holds the broker's login."""
        self._command = [sys.executable, "-I", "-c", CODE, PACKAGES, "doctor", "--json", *arguments]
        self._environment = environment or {}
        self.defects = DefectLog("doctor")
        self._lock, self._closed = threading.Lock(), False
        self._child: ChildProcess | None = None
        self._result: dict[str, Any] = {"running": False, "ts": None, "checks": [], "error": None}

    @property
    def result(self) -> dict[str, Any]:
        """Return whether the checks run, when they were last done, and each one's result."""
        with self._lock:
            return dict(self._result)

    def start(self) -> None:
        """Start the checks, unless they run already."""
        with self._lock:
            if self._result["running"] or self._closed:
                return
            self._result["running"] = True
        try:
            threading.Thread(target=self.defects.guard(self._run), name="doctor", daemon=True).start()
        except RuntimeError as exc:  # no thread is left
            self._end([], f"the checks cannot be started ({exc})")

    def close(self) -> None:
        """End checks that still run; none can be started any more."""
        with self._lock:
            self._closed, child = True, self._child
        if child is not None:
            child.end(term_wait_s=0.0)

    def _run(self) -> None:
        checks, error = list[dict[str, str]](), None
        lines = deque[bytes](maxlen=MAX_CHECKS)
        try:
            with ChildProcess(
                self._command, environment=self._environment, drain_stdout=True, on_line=lines.append
            ) as child:
                code = child.wait(LIMIT_S if self._keep(child) else 0.0)
                child.wait_drained()
            checks = [check for line in lines if (check := _check(line)) is not None]
            if code is None:
                error = f"the checks take more than {LIMIT_S:g} s"
            elif not checks:
                error = f"the checks failed (exit code {code}): {child.last_line()}"
        except OSError as exc:
            error = f"the checks cannot be started ({os_error_reason(exc)})"
        finally:
            self._end(checks, error)

    def _end(self, checks: list[dict[str, str]], error: str | None) -> None:
        with self._lock:
            self._child = None
            self._result = {"running": False, "ts": rfc3339(utc_now()), "checks": checks, "error": error}

    def _keep(self, child: ChildProcess) -> bool:
        """Keep a child, so that `close` ends it; False if it was closed meanwhile."""
        with self._lock:
            self._child = child
            return not self._closed


def _check(line: bytes) -> dict[str, str] | None:
    """Return the check of a line of JSON, None for other output."""
    try:
        check = json.loads(line)
        return {key: redact_urls(str(check[key])) for key in ("name", "result", "detail")}
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
