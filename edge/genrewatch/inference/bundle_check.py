"""Checks that a bundle computes its golden vectors on this machine, in a child process that may crash.

A wrong or crafted network can end the process that runs it, which no exception handler prevents. So one that does not
come with genrewatch is run in a child first: with bounded memory, processor time and waiting time.
"""

import json
import resource
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from genrewatch.audio.level import LevelConfig
from genrewatch.contract.bundle import Bundle, load_bundle
from genrewatch.contract.errors import BundleError, GenrewatchError, os_error_reason
from genrewatch.contract.vote import VoteConfig
from genrewatch.host.parent_death import kill_with_parent
from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch.host.process import ChildProcess
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.golden import check_finite, check_golden
from genrewatch.inference.pipeline import Pipeline, pipeline_of

LIMIT_S = 30.0
"""Longest time for the child: a small machine takes about 5 s to start it."""
MEMORY_BYTES = 8 * 2**30
"""Limit of the child's address space, most of which is never used: each thread of numpy's library reserves some."""
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from genrewatch.inference.bundle_check import main
main(sys.argv[2])
"""
PACKAGES = str(Path(__file__).parents[2])


def open_checked_pipeline(
    path: Path, adjust: Callable[[VoteConfig], VoteConfig], level: LevelConfig, *, features: bool = False
) -> Pipeline:
    """Load a bundle as `pipeline_of` does, after its golden vectors were computed; raises GenrewatchError only."""
    try:
        bundle = load_bundle(path)
        if path.resolve() == SHIPPED_BUNDLE.resolve():
            check_golden(bundle, Classifier.of(bundle))
        else:
            _check_in_child(bundle)
        return pipeline_of(bundle, adjust, level, features=features)
    except GenrewatchError:
        raise
    except Exception as exc:  # whatever the files lead to, the daemon keeps its bundle
        raise BundleError(str(path), f"cannot be used ({exc!r})") from exc


def _check_in_child(bundle: Bundle) -> None:
    """Run `main` in a child; BundleError if it finds a fault, crashes or takes too long."""
    where, lines = str(bundle.path), deque[bytes](maxlen=1)
    command = [sys.executable, "-I", "-c", CODE, PACKAGES, str(bundle.path.absolute())]
    try:
        with ChildProcess(command, drain_stdout=True, on_line=lines.append) as child:
            code = child.wait(LIMIT_S)
            child.wait_drained()
    except OSError as exc:
        raise BundleError(where, f"cannot be checked ({os_error_reason(exc)})") from None
    if code is None:
        raise BundleError(where, f"its check takes more than {LIMIT_S:g} s", "a network for this machine")
    if code < 0:
        name = signal.Signals(-code).name
        raise BundleError(where, f"its network crashes the runtime ({name})", "a network of this version of genrewatch")
    answer = _parse(lines[-1] if lines else b"")
    if code or answer != bundle.manifest.files:
        if isinstance(answer, list) and len(answer) == 3:
            raise BundleError(*map(str, answer))
        raise BundleError(where, f"its check failed (exit code {code})")


def main(path: str) -> None:
    """Check the bundle at `path` and print the hashes of its files, or an error, as a line of JSON."""
    kill_with_parent()
    _limit()
    try:
        bundle = load_bundle(Path(path))
        classifier = Classifier.of(bundle)
        check_golden(bundle, classifier)
        check_finite(bundle, classifier)
    except GenrewatchError as exc:
        print(json.dumps([exc.where, exc.found, exc.expected]))
        sys.exit(1)
    print(json.dumps(bundle.manifest.files))


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (round(LIMIT_S), round(LIMIT_S)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # not on macOS
        Path("/proc/self/oom_score_adj").write_text("1000")  # the first to be killed when memory is short


def _parse(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None
