"""Makes the images of docs/web.md: the page with the demo programme, on a desk, in the dark and on a phone.

`python -m docs.scripts.screenshots` needs the extra `dev`, Chromium and about a minute: it plays the programme.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).parents[1] / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PORT, PLAY_S = 8719, 45
SHOTS = {
    "page-desktop.png": (1000, 640, "light", "now"),
    "page-dark.png": (1000, 640, "dark", "now"),
    "page-phone.png": (360, 720, "light", "now"),
}
"""Width, height, colour scheme and section of each image."""


def main() -> int:
    """Play the demo programme and write the images; returns 0."""
    with tempfile.TemporaryDirectory() as state:
        sources = ["--source", "demo:?id=studio", "--source", "demo:?id=kitchen"]
        command = [sys.executable, "-m", "genrewatch", "listen", *sources, "--mqtt", "none", "--web", str(PORT)]
        daemon = subprocess.Popen(command, env={"GENREWATCH_STATE": state, "PATH": "/usr/bin:/bin"})
        try:
            time.sleep(PLAY_S)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
                for name in SHOTS:
                    _shoot(browser, name)
        finally:
            daemon.terminate()
            daemon.wait()
    return 0


def _shoot(browser: Browser, name: str) -> None:
    width, height, scheme, section = SHOTS[name]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"http://127.0.0.1:{PORT}/#{section}")
    page.wait_for_selector("article", state="attached")
    page.wait_for_timeout(3000)
    page.screenshot(path=IMAGES / name)
    page.close()
    print(f"{IMAGES / name}: written")


if __name__ == "__main__":
    sys.exit(main())
