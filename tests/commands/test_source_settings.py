"""Settings of single sources reach the sinks and the daemon under the source's id."""

from types import SimpleNamespace
from typing import Any

from genrewatch.commands.source_settings import announcement, expectations, hours_by_source
from genrewatch.daemon.config import ListenConfig
from genrewatch.sinks.expectations import Expectation
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.web.config import WebConfig
from genrewatch.sources.uri import SourceConfig

RADIO = SourceConfig(
    uri="https://radio.example.org/live",
    id="radio",
    suggested_area="Küche",
    listening_hours=("08:00-18:00",),
    expected_genres=("jazz",),
    expected_after_s=60.0,
)
VINYL = SourceConfig(uri="demo:", id="vinyl")
SETUPS: Any = [SimpleNamespace(source=SimpleNamespace(id=name)) for name in ("radio", "vinyl")]


def config(**more: Any) -> ListenConfig:
    return ListenConfig(source=(RADIO, VINYL), **more)


def test_only_sources_with_a_setting_have_one() -> None:
    assert hours_by_source(config(), SETUPS, "listening_hours") == {"radio": ("08:00-18:00",)}
    assert hours_by_source(config(), SETUPS, "quiet_hours") == {}
    assert expectations(config(), SETUPS) == {"radio": Expectation(genres=("jazz",), after_s=60.0)}


def test_a_stream_is_announced_with_a_title_and_another_source_without() -> None:
    about = announcement(config(), SETUPS)
    assert about.areas == {"radio": "Küche"}
    assert list(about.without_title) == ["vinyl"]
    assert about.page_url is None


def test_the_link_to_the_page_is_the_configured_one_or_that_which_others_can_reach() -> None:
    web = WebConfig(host="192.168.1.7", without_login=True)
    assert announcement(config(web=web), SETUPS).page_url == "http://192.168.1.7:8710/"
    mqtt = MqttConfig(page_url="https://music.example.org/")
    assert announcement(config(web=web, mqtt=mqtt), SETUPS).page_url == "https://music.example.org/"
