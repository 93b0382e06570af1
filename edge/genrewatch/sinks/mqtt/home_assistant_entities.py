"""The entities of a node and of its sources, in the form of Home Assistant's MQTT discovery.

The templates read fields that `state.schema.json` and `health.schema.json` specify. Jinja prints null as `None`, which
Home Assistant takes as "unknown". Entities that change with every message are disabled by default, because Home
Assistant records each change.
"""

from collections.abc import Sequence
from typing import Any

from genrewatch.contract.verdict_text import verdict_texts
from genrewatch.sinks.events import EVENT_TYPES

Components = dict[str, dict[str, Any]]

GENRE_FACTS = (
    "{{ {'key': value_json.genre or value_json.reason, 'reason': value_json.reason, 'share': value_json.share,"
    " 'votes': value_json.votes, 'runners_up': value_json.votes | reject('eq', value_json.genre) | list,"
    " 'since': value_json.since} | tojson }}"
)
CONFIDENCE = "{{ None if value_json.confidence is none else (100 * value_json.confidence) | round(1) }}"
# A refusal counts as music where most segments are music: they only disagree on the genre.
MUSIC = (
    "{% set quiet = value_json.votes.get('silence', 0) + value_json.votes.get('not_music', 0) %}"
    "{{ 'ON' if value_json.genre or value_json.reason == 'unknown'"
    " or value_json.reason == 'refused' and 2 * quiet < value_json.segments"
    " else 'OFF' if value_json.reason in ['refused', 'silence', 'not_music'] else None }}"
)
DEAD_AIR = "{{ None if value_json.dead_air is none else 'ON' if value_json.dead_air else 'OFF' }}"
TITLE = "{{ value_json.title[:255] if value_json.title else None }}"  # a state has at most 255 characters
STATION = "{{ value_json.station[:255] if value_json.station else None }}"
WAITING = "{{ value_json.history.waiting if value_json.history is defined else None }}"
DEGRADED = "{{ 'ON' if value_json.degraded else 'OFF' }}"
DISABLED = {"enabled_by_default": False}


def source_entities(topic: str, labels: Sequence[str], expire_after_s: int, *, titles: bool) -> Components:
    """Return the entities of a source whose topics start with `topic`, available while the source is online.

    `titles` is true for a source that may send its station and title.
    """
    state = {"state_topic": f"{topic}/state", "expire_after": expire_after_s}
    sensor = {"platform": "sensor", **state}
    measured = {"state_class": "measurement", **sensor}
    yes_or_no = {"platform": "binary_sensor", **state}
    found = {
        "genre": {
            "device_class": "enum",
            "options": verdict_texts(labels),
            "value_template": "{{ value_json.text }}",
            "json_attributes_topic": f"{topic}/state",
            "json_attributes_template": GENRE_FACTS,
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
            **DISABLED,
            **measured,
        },
        "music_playing": {"device_class": "sound", "value_template": MUSIC, **yes_or_no},
        "dead_air": {"device_class": "problem", "value_template": DEAD_AIR, **yes_or_no},
    }
    if titles:
        found["title"] = {"value_template": TITLE, "icon": "mdi:music-note", **sensor}
        found["station"] = {"value_template": STATION, "icon": "mdi:radio", **sensor}
    return found


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


def node_entities(topic: str, expire_after_s: int, *, cpu_temperature: bool) -> Components:
    """Return the diagnostic entities of the node, read from `topic`.

    `cpu_temperature` is true where the machine has a sensor for it.
    """
    diagnostic = {"entity_category": "diagnostic", "state_topic": topic, "expire_after": expire_after_s}
    sensor = {"platform": "sensor", **diagnostic}
    measured, counted = {"state_class": "measurement", **sensor}, {"state_class": "total_increasing", **sensor}
    found = {
        "real_time_factor": {
            "unit_of_measurement": "x",
            "value_template": "{{ value_json.real_time_factor }}",
            "icon": "mdi:speedometer",
            **DISABLED,
            **measured,
        },
        "lost_audio": {
            "device_class": "duration",
            "unit_of_measurement": "s",
            "suggested_display_precision": 0,
            "value_template": "{{ value_json.lost_s }}",
            "icon": "mdi:music-off",
            **counted,
        },
        "segments": {
            "value_template": "{{ value_json.segments }}",
            "icon": "mdi:counter",
            **DISABLED,
            **counted,
        },
        "uptime": {"device_class": "timestamp", "value_template": "{{ value_json.started }}", **sensor},
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
    if cpu_temperature:
        found["cpu_temperature"] = {
            "device_class": "temperature",
            "unit_of_measurement": "°C",
            "value_template": "{{ value_json.cpu_temperature_c }}",
            "suggested_display_precision": 0,
            **measured,
        }
    return found
