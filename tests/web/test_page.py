"""The page in a real Chromium: live, on a phone, in the dark, by keyboard, for a screen reader, with much to show."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.history.rig import spell
from tests.sinks.mqtt_rig import JAZZ, ROCK, SILENCE
from tests.web.rig import NODE, Served, later, served, source_health

from genrewatch.audio.level import LevelConfig
from genrewatch.contract.verdict_text import REASON_TEXTS, label_text
from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.history.corrections import Corrections, corrections_path
from genrewatch.history.database import database_path
from genrewatch.history.store import HistoryStore
from genrewatch.host.times import Timestamp
from genrewatch.inference.pipeline import open_pipeline
from genrewatch.sinks.web.application import PAGE
from genrewatch.sinks.web.doctor import Doctor
from genrewatch.sinks.web.node_api import Support
from genrewatch.sources.source import NowPlaying
from genrewatch_drill.servers.programs import require_program

ROOT = Path(__file__).parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PHONE, DESK = {"width": 320, "height": 640}, {"width": 1280, "height": 800}
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=require_program("chromium"), args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport=DESK, locale="en-GB")
    made = context.new_page()
    wrong: list[str] = []
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("console", lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None)
    yield made
    context.close()
    assert wrong == []


def history(directory: Path, days: float, minutes: float, sources: tuple[str, ...] = ("mic",)) -> Path:
    """Make a history of spells that end now."""
    store, genres = HistoryStore(database_path(directory, NODE), NODE, deliver=False), ("rock", "jazz", None)
    begin = datetime.now(UTC) - timedelta(days=days)
    spells = []
    for number in range(int(days * 1440 / minutes)):
        at = begin + timedelta(minutes=number * minutes)
        made = spell(genres[number % 3], source=sources[number % len(sources)], seconds=minutes * 60)
        made.start = Timestamp(utc_ms=int(at.timestamp() * 1000), mono_s=number * minutes * 60)
        made.end = Timestamp(utc_ms=made.start.utc_ms + int(minutes * 60_000), mono_s=(number + 1) * minutes * 60)
        spells.append(made)
    store.append(spells, [])
    store.close()
    return database_path(directory, NODE)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(history=history(tmp_path_factory.mktemp("state"), 1, 10)) as running:
        yield running


def card(page: Page, source: str) -> Any:
    return page.locator(f'[data-source="{source}"]')


def opened(page: Page, node: Served, section: str = "now") -> None:
    page.goto(f"{node.url}#{section}")
    expect(page.locator("#connection")).to_have_text(re.compile("live"), timeout=15_000)


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in SERIOUS]


def test_a_change_is_seen_within_two_seconds_and_announced_once(page: Page) -> None:
    with served() as node:
        opened(page, node)
        expect(card(page, "mic").locator(".verdict")).to_have_text("Rock")
        node.play("mic", later(JAZZ, 1))
        expect(card(page, "mic").locator(".verdict")).to_have_text("Jazz", timeout=2000)
        expect(page.locator("#changes")).to_have_text("Microphone: Jazz")
        node.play("mic", later(JAZZ, 2))
        expect(card(page, "mic").locator(".ballots li:not(.gap)")).to_have_text("Rock 3")
        expect(page.locator("#changes")).to_have_text("Microphone: Jazz")
        assert page.locator("[aria-live]").count() == 1


def test_level_title_runners_up_and_confidence_are_shown(page: Page) -> None:
    with served() as node:
        node.sink.on_now_playing("mic", NowPlaying(station="FM <b>4</b>", title="A – B"))
        opened(page, node)
        text = card(page, "mic").inner_text()
        text = text.replace("\xa0", " ")
        for part in (
            "64 %",
            "7 of 9 votes for Rock",
            "A – B · FM <b>4</b>",
            "-18.3 dBFS",
            "peak -3.1",
            "clipped",
            "65 %",
        ):
            assert part in text.replace("−", "-"), part
        assert card(page, "mic").locator("[role=meter]").get_attribute("aria-valuenow") == "-18.3"


def test_stalled_dead_air_silence_and_off_cannot_be_confused(page: Page) -> None:
    with served() as node:
        opened(page, node)
        verdict = card(page, "mic").locator(".verdict")
        node.play("mic", later(SILENCE, 1))
        expect(verdict).to_have_text("Silence")
        assert "alarm" not in (card(page, "mic").get_attribute("class") or "")
        node.play("mic", replace(later(SILENCE, 2), dead_air=True))
        expect(verdict).to_have_text("Dead air")
        expect(card(page, "mic").locator(".alarm-line")).to_have_text("⚠ DEAD AIR")
        node.sink.on_availability("mic", False, "closed")
        expect(verdict).to_have_text("Offline")
        expect(card(page, "mic")).to_contain_text("No sound arrives at present")
        node.sink.on_stalled("mic")
        expect(verdict).to_have_text("No sound")
        expect(card(page, "mic").locator(".alarm-line")).to_have_text("⚠ NO SOUND ARRIVES")
        expect(card(page, "mic")).to_contain_text("This is not silence")
        expect(card(page, "mic")).to_contain_text("Since ")
        expect(card(page, "mic").locator("[role=meter]")).to_be_hidden()
        node.sink.on_disabled("mic", True)
        expect(verdict).to_have_text("Switched off")
        expect(card(page, "mic").locator(".alarm-line")).to_be_hidden()


def test_a_refusal_explains_itself(page: Page) -> None:
    votes = {"jazz": 4, "rock": 4, "blues": 1}
    verdict = replace(ROCK.verdict, genre=None, reason="refused", confidence=None, share=4 / 9, votes=votes)
    with served() as node:
        node.play("mic", replace(later(ROCK, 1), verdict=verdict))
        opened(page, node)
        expect(card(page, "mic")).to_contain_text(
            "The votes disagree: Jazz 4, Rock 4, Blues 1. Nearly Jazz, 1 short of the majority."
        )


def test_buttons_send_commands(page: Page) -> None:
    with served() as node:
        opened(page, node)
        card(page, "mic").get_by_role("button", name="Switch off").click()
        card(page, "radio").get_by_role("button", name="Test event").click()
        expect(page.locator("#connection")).to_contain_text("A test event was sent")
        assert node.control.called == [("listen", "mic", False), ("test", "radio")]


def test_a_lost_connection_is_said_and_found_again(page: Page) -> None:
    with served() as node:
        opened(page, node)
        port = int(node.url.rstrip("/").rpartition(":")[2])
        node.sink.close()
        expect(page.locator("#connection")).to_contain_text("Connection lost", timeout=5000)
    with served(port=port) as node:
        node.play("mic", later(JAZZ, 1))
        expect(page.locator("#connection")).to_have_text("live", timeout=10_000)
        expect(card(page, "mic").locator(".verdict")).to_have_text("Jazz")


@pytest.mark.parametrize("section", ["now", "history", "health"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_down_only_and_axe_finds_nothing_serious(
    page: Page, node: Served, section: str, scheme: Any
) -> None:
    node.control.degraded = ["history: the disk is full"]
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    opened(page, node, section)
    page.wait_for_timeout(200)
    assert fits(page)
    assert serious(page) == []


def test_the_keyboard_reaches_everything(page: Page, node: Served) -> None:
    page.goto(node.url)
    expect(card(page, "radio")).to_be_visible()
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim().replace(/\\s+/g, ' ')"))
    assert reached[:3] == ["Skip to the content", "Now", "Day and week"]
    assert reached[3].startswith("Health")
    assert "Switch off Microphone" in reached
    assert "Test event Radio" in reached
    page.get_by_role("link", name="Day and week").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#history")).to_be_visible()
    page.locator("#days").select_option("7")  # shortly after midnight a day has one spell only
    expect(page.locator("#timeline svg")).to_be_visible(timeout=15_000)
    page.locator("#timeline .box").focus()
    page.keyboard.press("Home")
    expect(page.locator("#spell")).to_contain_text("Duration")
    first = page.locator("#spell").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#spell").inner_text() != first
    width = page.evaluate("document.querySelector('#timeline svg').clientWidth")
    page.keyboard.press("+")
    assert page.evaluate("document.querySelector('#timeline svg').clientWidth") == 2 * width
    page.keyboard.press("0")
    assert page.evaluate("document.querySelector('#timeline svg').clientWidth") == width


def test_focus_survives_an_update(page: Page) -> None:
    with served() as node:
        opened(page, node)
        card(page, "mic").locator("[data-do=test]").focus()
        node.play("mic", later(JAZZ, 1))
        expect(card(page, "mic").locator(".verdict")).to_have_text("Jazz")
        assert page.evaluate("document.activeElement.dataset.do") == "test"


def test_german_and_english_have_the_same_texts(page: Page, node: Served) -> None:
    texts = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in (PAGE / "texts").iterdir()}
    assert set(texts["en.json"]) == set(texts["de.json"])
    code = "".join(path.read_text(encoding="utf-8") for path in PAGE.iterdir() if path.name.endswith((".js", ".html")))
    used = set(re.findall(r'\bt\("(\w+)"', code)) | set(re.findall(r'data-(?:text|name)="(\w+)"', code))
    used |= set(re.findall(r'"(hint_\w+)"', code))
    assert used <= set(texts["en.json"])
    opened(page, node)
    page.locator("#language").select_option("de")
    expect(page.get_by_role("heading", name="Jetzt")).to_be_visible()
    expect(card(page, "mic")).to_contain_text("7 von 9 Stimmen für Rock")
    assert page.evaluate("document.documentElement.lang") == "de"


def test_verdicts_read_as_in_the_field_text_of_a_state() -> None:
    english = json.loads((PAGE / "texts" / "en.json").read_text(encoding="utf-8"))
    for label in open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig()).manifest.labels:
        assert english[f"v_{label}"] == label_text(label)
    for reason, text in REASON_TEXTS.items():
        assert english[f"v_{reason}"] == text


def test_it_works_below_a_path_of_a_proxy() -> None:
    for path in PAGE.iterdir():
        if path.name.endswith((".html", ".js", ".css")):
            text = path.read_text(encoding="utf-8")
            assert not re.findall(
                r"""(?:src|href)=["']/|fetch\([`"']/|EventSource\([`"']/|https?://(?!www\.w3\.org)""", text
            )


def test_the_page_is_small(page: Page, node: Served) -> None:
    sizes = []
    page.on("response", lambda response: sizes.append(len(response.body())) if "/api/" not in response.url else None)
    opened(page, node)
    assert sum(sizes) < 100_000


def test_health_says_what_to_do(page: Page) -> None:
    with served() as node:
        node.control.degraded = ["history: the disk is full"]
        node.control.sources["radio"] = source_health(online=False, why="HTTP 404")
        opened(page, node, "health")
        expect(page.locator("#problems")).to_contain_text("Check the free space")
        expect(page.locator("#problems")).to_contain_text("Radio: no sound arrives (HTTP 404)", ignore_case=True)
        expect(page.locator("#source-table")).to_contain_text("no sound HTTP 404")
        expect(page.locator("#source-table")).to_contain_text("overflow 0.5 s")
        expect(page.locator("#facts")).to_contain_text("1 waiting for the broker, 0 lost, 2 refused by the broker")
        expect(page.locator("#problem-count")).to_have_text("1")


def test_the_timeline_the_table_and_the_download_have_the_same(page: Page, node: Served) -> None:
    opened(page, node, "history")
    page.locator("#days").select_option("7")
    page.locator("#history-source").select_option("mic")
    expect(page.locator("#timeline path[fill]")).to_have_count(3)
    page.locator("#behind summary").click()
    expect(page.locator("#spells tbody tr")).to_have_count(144)
    expect(page.locator("#airtime")).to_contain_text("33.3\xa0%")
    report = node.get("api/v1/report?by=day&source=mic").json
    expect(page.locator("#columns li")).to_have_count(len(report["rows"]))
    page.locator("#columns-part summary").click()
    expect(page.locator("#columns-table tbody tr")).to_have_count(len(report["rows"]))
    with page.expect_download() as download:
        page.locator("#csv").click()
    assert len(Path(download.value.path()).read_text(encoding="utf-8").splitlines()) == 145


@pytest.mark.slow
def test_200_sources_and_30_days_of_history_stay_usable(page: Page, tmp_path: Path) -> None:
    names = {f"s{number}": f"Source {number}" for number in range(200)}
    with served(sources=names, history=history(tmp_path, 30, 2, ("s0",))) as node:
        opened(page, node)
        assert page.locator("article").count() == 200
        page.locator("#filter").fill("Source 199")
        expect(page.locator("article:visible")).to_have_count(1)
        node.play("s199", later(JAZZ, 1), later(ROCK, 2))
        expect(card(page, "s199").locator(".verdict")).to_have_text("Rock", timeout=2000)
        page.get_by_role("link", name="Day and week").click()
        page.locator("#history-source").select_option("s0")
        page.locator("#days").select_option("30")
        expect(page.locator("#timeline .row")).to_have_count(30, timeout=15_000)
        expect(page.locator("#airtime")).to_contain_text("33.", timeout=15_000)
        assert serious(page) == []
        page.get_by_role("link", name="Now").click()
        page.locator("#filter").fill("")
        assert serious(page) == []


def test_several_sources_are_narrowed_down_by_what_they_do(page: Page) -> None:
    with served(sources={name: name.title() for name in ("bar", "hall", "roof")}) as node:
        opened(page, node)
        node.play("hall", replace(later(SILENCE, 1), dead_air=True))
        page.get_by_role("button", name="Attention 1").click()
        expect(page.locator("article:visible")).to_have_count(1)
        expect(card(page, "hall")).to_be_visible()
        page.get_by_role("button", name="All 3").click()
        expect(page.locator("article:visible")).to_have_count(3)


def test_a_tap_shows_a_spell_and_a_correction_stands_beside_it(page: Page, tmp_path: Path) -> None:
    path = history(tmp_path, 0.9, 60)
    with served(history=path) as node:
        opened(page, node, "history")
        page.locator("#history-source").select_option("mic")
        page.locator("#days").select_option("7")
        expect(page.locator("#timeline path[fill]")).to_have_count(3)
        page.locator("#timeline .box").focus()
        page.keyboard.press("Home")
        expect(page.locator("#spell")).to_contain_text("Rock")
        page.locator("#spell").get_by_role("button", name="Wrong?").click()
        assert serious(page) == []
        page.locator("#correct-label").select_option("blues")
        page.locator("#correct-save").click()
        expect(page.locator("#spell .pill")).to_have_text("corrected: Blues")
        assert [made.label for made in Corrections(corrections_path(path)).present()] == ["blues"]
        page.get_by_role("button", name="Withdraw the correction").click()
        expect(page.locator("#spell .pill")).to_have_count(0)
        assert Corrections(corrections_path(path)).present() == []
        page.get_by_role("link", name="Now").click()
        card(page, "radio").get_by_role("button", name="Wrong?").click()
        page.locator("#correct-label").select_option(" own")
        page.locator("#correct-text").fill("Our jingle")
        page.keyboard.press("Enter")
        expect(page.locator("#connection")).to_have_text("corrected: Our jingle")
        assert Corrections(corrections_path(path)).present()[-1].label == "Our jingle"


def test_the_checks_run_on_a_button_and_the_diagnosis_is_one_file(page: Page) -> None:
    with served(support=Support(doctor=Doctor(["--mqtt", "none"]), log_lines=lambda: ["a line"])) as node:
        opened(page, node, "health")
        page.locator("#doctor").click()
        expect(page.locator("#checks")).to_contain_text("golden vectors agree", timeout=60_000)
        assert serious(page) == []
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the diagnosis").click()
        with zipfile.ZipFile(download.value.path()) as found:
            assert "golden vectors agree" in found.read("doctor.json").decode()


def test_what_a_source_lacks_is_noted_on_its_card(page: Page) -> None:
    with served() as node:
        node.control.sources["mic"] = source_health(bandwidth_hz=7600, channels=2, phase="antiphase", hop_factor=3)
        opened(page, node)
        for text in ("Sound up to 8.0 kHz", "cancel each other", "one segment in 3"):
            expect(card(page, "mic").locator(".notes")).to_contain_text(text)
        page.get_by_role("link", name="Health").click()
        expect(page.locator("#source-table")).to_contain_text("7.6 kHz")
