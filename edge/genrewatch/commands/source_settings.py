"""Settings of single sources, by source id, as the sinks and the daemon of `genrewatch listen` take them."""

from collections.abc import Sequence

from genrewatch.daemon.config import ListenConfig
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.host.machine import cpu_temperature_c
from genrewatch.sinks.expectations import Expectation
from genrewatch.sinks.mqtt.home_assistant import Announcement
from genrewatch.sinks.sink import SourceInfo
from genrewatch.sources.kinds import kind_of
from genrewatch.sources.tuner.addresses import SCHEMES


def hours_by_source(config: ListenConfig, setups: Sequence[SourceSetup], key: str) -> dict[str, Sequence[str]]:
    """Return the hours under `key` by source id, of the sources that have any."""
    pairs = zip(setups, config.source, strict=True)
    return {setup.source.id: hours for setup, wanted in pairs if (hours := getattr(wanted, key))}


def expectations(config: ListenConfig, setups: Sequence[SourceSetup]) -> dict[str, Expectation]:
    """Return the expected genres by source id, of the sources that have any."""
    return {
        setup.source.id: Expectation(
            genres=wanted.expected_genres, hours=wanted.expected_hours, after_s=wanted.expected_after_s
        )
        for setup, wanted in zip(setups, config.source, strict=True)
        if wanted.expected_genres
    }


def source_infos(config: ListenConfig, setups: Sequence[SourceSetup]) -> dict[str, SourceInfo]:
    """Return what the sinks take about each source, by source id."""
    expected = expectations(config, setups)
    return {
        setup.source.id: SourceInfo(
            name=setup.name,
            kind=kind_of(wanted),
            expectation=expected.get(setup.source.id),
            quiet_hours=wanted.quiet_hours,
            suggested_area=wanted.suggested_area,
        )
        for setup, wanted in zip(setups, config.source, strict=True)
    }


def announcement(config: ListenConfig, setups: Sequence[SourceSetup]) -> Announcement:
    """Return what Home Assistant's discovery announces beside ids and names."""
    by_id = {setup.source.id: wanted for setup, wanted in zip(setups, config.source, strict=True)}
    return Announcement(
        areas={source_id: wanted.suggested_area for source_id, wanted in by_id.items() if wanted.suggested_area},
        without_title=[source_id for source_id, wanted in by_id.items() if kind_of(wanted) not in SCHEMES],
        page_url=config.mqtt.page_url or config.web.url_for_others,
        cpu_temperature=cpu_temperature_c() is not None,
    )
