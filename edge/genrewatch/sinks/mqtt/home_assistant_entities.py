"""The entities of a node and of its sources, in the form of Home Assistant's MQTT discovery.

The templates read fields that `state.schema.json` and `health.schema.json` specify. Jinja prints null as `None`, which
Home Assistant takes as "unknown".
"""

from collections.abc import Sequence
from typing import Any

from genrewatch.sinks.events import EVENT_TYPES

Components = dict[str, dict[str, Any]]

NO_GENRE = ("uncertain", "silence", "not_music")
"""States of the genre sensor without a genre."""
RESERVED = ("unknown", "unavailable", "none")
"""States that Home Assistant reserves: a label of that name is shown as `uncertain`."""

GENRE = (
    "{% set genre = value_json.genre %}"
    "{{ genre if genre and genre | lower not in ['unknown', 'unavailable', 'none']"
    " else value_json.reason if value_json.reason in ['silence', 'not_music'] else 'uncertain' }}"
)
CONFIDENCE = "{{ None if value_json.confidence is none else (100 * value_json.confidence) | round(1) }}"
# A refusal counts as music where most segments are music: they only disagree on the genre.
MUSIC = (
    "{% set quiet = value_json.votes.get('silence', 0) + value_json.votes.get('not_music', 0) %}"
    "{{ 'ON' if value_json.genre or value_json.reason == 'refused' and 2 * quiet < value_json.segments"
    " else 'OFF' if value_json.reason in ['refused', 'silence', 'not_music'] else None }}"
)
DEAD_AIR = "{{ None if value_json.dead_air is none else 'ON' if value_json.dead_air else 'OFF' }}"
WAITING = "{{ value_json.history.waiting if value_json.history is defined else None }}"
DEGRADED = "{{ 'ON' if value_json.degraded else 'OFF' }}"


def source_entities(topic: str, labels: Sequence[str], expire_after_s: int) -> Components:
    """Return the entities of a source whose topics start with `topic`, available while the source is online."""
    state = {"state_topic": f"{topic}/state", "expire_after": expire_after_s}
    sensor = {"platform": "sensor", **state}
    measured = {"state_class": "measurement", **sensor}
    yes_or_no = {"platform": "binary_sensor", **state}
    return {
        "genre": {
            "device_class": "enum",
            "options": _options(labels),
            "value_template": GENRE,
            "icon": "mdi:music-circle",
            **sensor,
        },
        "confidence": {
            "unit_of_measurement": "%",
            "value_template": CONFIDENCE,
            "suggested_display_precision": 0,
            "icon": "mdi:gauge",
            **measured,
        },
        "level": {
            "unit_of_measurement": "dBFS",
            "value_template": "{{ value_json.level_dbfs }}",
            "suggested_display_precision": 1,
            "icon": "mdi:volume-high",
            **measured,
        },
        "music_playing": {"device_class": "sound", "value_template": MUSIC, **yes_or_no},
        "dead_air": {"device_class": "problem", "value_template": DEAD_AIR, **yes_or_no},
    }


def source_controls(topic: str) -> Components:
    """Return the entities of a source that are available while it is offline.

    A source that is switched off is offline and must be possible to switch on; and the event `stalled` is published
    while the source is offline.
    """
    return {
        "event": {
            "platform": "event",
            "state_topic": f"{topic}/event",
            "event_types": list(EVENT_TYPES),
            "icon": "mdi:playlist-music",
        },
        "listen": {
            "platform": "switch",
            "state_topic": f"{topic}/listen",
            "command_topic": f"{topic}/listen/set",
            "payload_on": "ON",
            "payload_off": "OFF",
            "icon": "mdi:ear-hearing",
        },
    }


def node_entities(topic: str, expire_after_s: int) -> Components:
    """Return the diagnostic entities of the node, read from `topic`."""
    diagnostic = {"entity_category": "diagnostic", "state_topic": topic, "expire_after": expire_after_s}
    sensor = {"platform": "sensor", **diagnostic}
    measured, counted = {"state_class": "measurement", **sensor}, {"state_class": "total_increasing", **sensor}
    seconds = {"device_class": "duration", "unit_of_measurement": "s", "suggested_display_precision": 0}
    return {
        "cpu_temperature": {
            "device_class": "temperature",
            "unit_of_measurement": "°C",
            "value_template": "{{ value_json.cpu_temperature_c }}",
            "suggested_display_precision": 0,
            **measured,
        },
        "real_time_factor": {
            "unit_of_measurement": "x",
            "value_template": "{{ value_json.real_time_factor }}",
            "icon": "mdi:speedometer",
            **measured,
        },
        "lost_audio": {"value_template": "{{ value_json.lost_s }}", "icon": "mdi:music-off", **seconds, **counted},
        "segments": {"value_template": "{{ value_json.segments }}", "icon": "mdi:counter", **counted},
        "uptime": {
            "value_template": "{{ value_json.uptime_s }}",
            "icon": "mdi:clock-outline",
            **seconds,
            **measured,
        },
        "outbox_waiting": {
            "value_template": WAITING,
            "icon": "mdi:tray-full",
            **measured,
        },
        "degraded": {
            "platform": "binary_sensor",
            "device_class": "problem",
            "value_template": DEGRADED,
            **diagnostic,
        },
    }


def _options(labels: Sequence[str]) -> list[str]:
    allowed = [label for label in labels if label.lower() not in RESERVED]
    return list(dict.fromkeys([*allowed, *NO_GENRE]))
