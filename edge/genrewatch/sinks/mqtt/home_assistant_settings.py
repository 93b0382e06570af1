"""Entities that change settings of a source while it runs, as the configuration allows."""

from collections.abc import Collection
from typing import Any

from genrewatch.inference.settings import FILTERS, RANGES, SETTING_KEYS
from genrewatch.sinks.mqtt.home_assistant_entities import Components

ICONS = {"silence_dbfs": "mdi:volume-off", "filter": "mdi:filter"}


def settings_entities(topic: str, settable: Collection[str]) -> Components:
    """Return a number or a select for each setting of a source whose topics start with `topic`, by key `set_<key>`."""
    return {f"set_{key}": _entity(f"{topic}/setting/{key}", key) for key in SETTING_KEYS if key in settable}


def _entity(topic: str, key: str) -> dict[str, Any]:
    found = {
        "state_topic": topic,
        "command_topic": f"{topic}/set",
        "entity_category": "config",
        "icon": ICONS.get(key, "mdi:tune"),
    }
    if key not in RANGES:
        return {"platform": "select", "options": list(FILTERS), **found}
    limits = RANGES[key]
    unit = {"unit_of_measurement": limits.unit} if limits.unit else {}
    numbers = {"min": limits.low, "max": limits.high, "step": limits.step, "mode": "box"}
    return {"platform": "number", **numbers, **unit, **found}
