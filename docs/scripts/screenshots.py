"""Makes the images of docs/web.md: the page with the demo programme, on a desk, in the dark and on a phone.

`python -m docs.scripts.screenshots` needs the extra `dev`, Chromium and about two minutes: it plays the programme.
"""

import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from genrewatch import programme

IMAGES = Path(__file__).parents[1] / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PORT, PLAY_S, BEHIND_S = 8719, 112, 42
SHOTS = {
    "page-desktop.png": (1120, 640, "light", "now"),
    "page-dark.png": (1120, 640, "dark", "now"),
    "page-phone.png": (360, 720, "light", "now"),
    "page-history.png": (1120, 700, "light", "history"),
    "page-health.png": (1120, 900, "light", "health"),
}
"""Width, height, colour scheme and section of each image."""
CONFIG = """
[[source]]
uri = "demo:"
id = "studio"
name = "Studio"
[[source]]
uri = "file:{bar}?pace=real"
id = "bar"
name = "Bar"
[[source]]
uri = "fifo:{directory}/tape"
id = "tape"
name = "Tape deck"
[mqtt]
url = "none"
"""


def main() -> int:
    """Play the demo programme and write the images; returns 0."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _write_programme(directory / "bar.wav")
        config = directory / "genrewatch.toml"
        config.write_text(CONFIG.format(bar=directory / "bar.wav", directory=directory), encoding="utf-8")
        command = [sys.executable, "-m", "genrewatch", "listen", "--config", str(config), "--web", str(PORT)]
        environment = {"GENREWATCH_STATE": name, "PATH": "/usr/bin:/bin"}
        daemon = subprocess.Popen([*command, "--node", "venue"], env=environment)
        try:
            time.sleep(PLAY_S)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
                for image in SHOTS:
                    _shoot(browser, image)
        finally:
            daemon.terminate()
            daemon.wait()
    return 0


def _write_programme(path: Path) -> None:
    """Write the demo programme, some way behind the other, so that two sources do not play the same."""
    samples = np.roll(np.concatenate(list(programme.programme_blocks(seed=0))), BEHIND_S * programme.SAMPLE_RATE)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(programme.SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())


def _shoot(browser: Browser, name: str) -> None:
    width, height, scheme, section = SHOTS[name]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB")  # type: ignore[arg-type]
    page.goto(f"http://127.0.0.1:{PORT}/#{section}")
    page.wait_for_selector("article", state="attached")
    page.wait_for_timeout(3000)
    if section == "history":
        page.select_option("#days", "0")
        page.wait_for_timeout(1000)
        page.locator("#timeline .box").focus()
        for key in ("End", "ArrowLeft", "ArrowLeft", "ArrowLeft", "+", "+", "+", "+"):
            page.keyboard.press(key)
    if section == "health":
        page.locator("#doctor").click()
        page.wait_for_selector("#checks table", timeout=60_000)
        page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=IMAGES / name)
    page.close()
    print(f"{IMAGES / name}: written")


if __name__ == "__main__":
    sys.exit(main())
