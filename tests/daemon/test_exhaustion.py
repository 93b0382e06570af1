"""A machine without a free descriptor or thread: the daemon listens and publishes, and what cannot be opened waits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers import Watcher

from genrewatch_drill.rig.processes import children
from genrewatch_drill.servers.mosquitto import Mosquitto

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")

AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
AS_NOBODY += [f"--{kind}-caps=+dac_override,+dac_read_search" for kind in ("inh", "ambient")]


def listen(before: list[str], sources: int, tmp_path: Path) -> None:
    """Listen to idle commands beside one that plays, under the limits that `before` sets, and stop."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, *(65534, 65534) if before[0] == "setpriv" else (-1, -1))
    config = tmp_path / "listen.toml"
    idle = [f'[[source]]\nuri = "cmd:sleep 600?rate=8000&first_sound_s=inf&id=s{n}"\n' for n in range(sources)]
    config.write_text('health_s = 1.0\n[[source]]\nuri = "demo:?pace=max&loop=yes"\n' + "".join(idle))
    with Mosquitto(tmp_path / "broker") as broker, Watcher(broker.port) as watcher:
        command = [sys.executable, "-m", "genrewatch", "listen", "--config", str(config), "--mqtt", broker.url]
        daemon = subprocess.Popen(
            [*before, *command, "--node", "box", "--web", "none"],
            env={**os.environ, "GENREWATCH_STATE": str(state)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            health = health_with(watcher, has_refused)
            refused = [name for name, source in health["sources"].items() if is_refused(source)]
            assert 0 < len(refused) < sources
            assert health["sources"]["demo"]["online"]
            segments = health["sources"]["demo"]["segments"]
            health_with(
                watcher,
                lambda health: health["sources"]["demo"]["segments"] > segments and health["history"]["stored"] > 0,
            )
            left = children(daemon.pid)
            daemon.send_signal(signal.SIGTERM)
            began = time.monotonic()
            _, errors = daemon.communicate(timeout=30)
            assert (daemon.returncode, "Traceback" in errors.decode()) == (0, False), errors.decode()
            assert time.monotonic() - began < 10
            assert not [pid for pid in left if Path(f"/proc/{pid}").exists()]
        finally:
            daemon.kill()


def is_refused(source: dict) -> bool:
    why = (source["why"] or "").lower()
    return any(reason in why for reason in ("too many open files", "no thread", "temporarily unavailable"))


def has_refused(health: dict) -> bool:
    """Whether sources wait for a descriptor or thread, and the one that plays has begun."""
    return health["sources"]["demo"]["segments"] > 0 and any(map(is_refused, health["sources"].values()))


def health_with(watcher: Watcher, condition: Callable[[dict], bool]) -> dict:
    """The first health for which a condition holds."""
    seen = watcher.until(lambda seen: seen.topic == "genrewatch/box/health" and condition(json.loads(seen.payload)), 60)
    return json.loads(seen.payload)


@pytest.mark.parametrize(("files", "sources"), [(256, 40), pytest.param(1024, 200, marks=pytest.mark.slow)])
def test_sources_beyond_the_limit_of_open_files_wait_and_the_rest_is_served(files, sources, tmp_path):
    listen(["bash", "-c", f'ulimit -n {files}; exec "$0" "$@"'], sources, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs another user to limit")
def test_sources_beyond_the_limit_of_processes_wait_and_the_rest_is_served(tmp_path):
    tmp_path.chmod(0o755)
    listen([*AS_NOBODY, "prlimit", "--nproc=150"], 60, tmp_path)
