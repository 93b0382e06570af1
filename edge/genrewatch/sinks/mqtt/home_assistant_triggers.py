"""Device triggers: what an automation of Home Assistant can start from, chosen by device instead of by topic.

Home Assistant shows a trigger as `"SUBTYPE" TYPE`: "Genre" changed.
"""

from genrewatch.sinks.mqtt.home_assistant_entities import Components

TRIGGERS = {
    "genre_changed": ("Genre", "changed"),
    "dead_air": ("Dead air", "began"),
    "sound_returned": ("Sound", "returned"),
    "stalled": ("Source", "stalled"),
    "resumed": ("Source", "resumed"),
    "unexpected_genre": ("Genre", "unexpected"),
    "expected_genre": ("Genre", "expected again"),
}
"""Subtype and type of the trigger of each event."""


def device_triggers(topic: str) -> Components:
    """Return the triggers of a source whose topics start with `topic`, by key `on_<event>`."""
    return {
        f"on_{event}": {
            "platform": "device_automation",
            "automation_type": "trigger",
            "subtype": subtype,
            "type": type_,
            "topic": f"{topic}/event",
            "value_template": "{{ value_json.event_type }}",
            "payload": event,
            "qos": 1,
        }
        for event, (subtype, type_) in TRIGGERS.items()
    }
