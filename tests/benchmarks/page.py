"""The cost of the page: memory and processor time of the daemon without it and with it, with viewers; first paint.

`python -m tests.benchmarks.page [SECONDS]` plays the demo for each of the three, 60 s by default.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from genrewatch_drill.servers.ports import free_port

WARM_S = 20
ROWS = (("--web none", False, 0), ("page, no viewer", True, 0), ("page, 5 viewers", True, 5))
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Print a row for each; returns 0."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    print("| | memory | peak | processor |\n|---|---|---|---|")
    for name, page, viewers in ROWS:
        print(f"| {name} | {measured(seconds, page=page, viewers=viewers)} |", flush=True)
    return 0


def measured(seconds: float, *, page: bool, viewers: int) -> str:
    port = free_port()
    command = [sys.executable, "-m", "genrewatch", "listen", "--source", "demo:", "--mqtt", "none"]
    command += ["--web", str(port) if page else "none"]
    with ExitStack() as stack:
        state = stack.enter_context(tempfile.TemporaryDirectory())
        environment = {**os.environ, "GENREWATCH_STATE": state}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        daemon = subprocess.Popen(command, env=environment, **quiet)
        stack.callback(daemon.wait)
        stack.callback(daemon.send_signal, signal.SIGTERM)
        time.sleep(WARM_S)
        for _ in range(viewers):
            stack.enter_context(viewer(port))
        before, started = cpu_ticks(daemon.pid), time.monotonic()
        time.sleep(seconds)
        used = (cpu_ticks(daemon.pid) - before) / TICKS / (time.monotonic() - started)
        paint = f", first paint {first_paint(port):.0f} ms" if viewers else ""
        return f"{memory(daemon.pid, 'VmRSS')} | {memory(daemon.pid, 'VmHWM')} | {100 * used:.2f} % of a core{paint}"


def viewer(port: int) -> socket.socket:
    """Open an event stream whose kernel buffers take the events."""
    made = socket.create_connection(("127.0.0.1", port))
    made.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return made


def first_paint(port: int) -> float:
    """Return the time until Chromium has painted the page, ms."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("article")
        painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        browser.close()
    return float(painted)


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory(pid: int, key: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith(key))
    return f"{kilobytes / 1024:.1f} MiB"


if __name__ == "__main__":
    sys.exit(main())
