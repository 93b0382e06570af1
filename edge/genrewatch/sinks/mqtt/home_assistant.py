"""The payloads of Home Assistant's MQTT device discovery.

`<prefix>/device/<node>/config`            the node, with its diagnostics
`<prefix>/device/<node>/<source>/config`   a source, a device that is connected through the node

No payload grows with the number of sources. Every id is made of the ids of the node and the source only, so Home
Assistant keeps the history of an entity when names or models change.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from genrewatch.sinks.mqtt.home_assistant_entities import Components, node_entities, source_controls, source_entities
from genrewatch.sinks.mqtt.home_assistant_settings import settings_entities
from genrewatch.sinks.mqtt.home_assistant_triggers import device_triggers

SUPPORT_URL = "https://www.home-assistant.io/integrations/mqtt/"
"""Link that Home Assistant shows beside a discovered device."""
NAMES = {
    "set_segments": "Ballots that count",
    "set_silence_dbfs": "Silence level",
    "set_filter": "Filter",
    "set_expected_duration_s": "Expected duration of a genre",
    "set_segment_weight": "Segment weight",
    "cpu_temperature": "CPU temperature",
    "real_time_factor": "Real-time factor",
    "segments": "Segments heard",
}
"""Display names that do not follow from the keys of the entities."""
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """Facts for the discovery that come from the configuration and the machine."""

    areas: Mapping[str, str] = field(default_factory=dict)
    """Suggested areas by source id."""
    without_title: Collection[str] = ()
    """Ids of the sources that never send a station or a title."""
    page_url: str | None = None
    """Address of the page, where browsers of other machines can reach it."""
    cpu_temperature: bool = True
    """True where the machine has a sensor for it."""

    def with_sources(self, areas: Mapping[str, str], without_title: Collection[str]) -> "Announcement":
        """Return the facts with those about other sources."""
        return replace(self, areas=areas, without_title=without_title)


@dataclass(frozen=True, kw_only=True)
class Device:
    """The facts of a node that its discovery and those of its sources announce."""

    node: str
    """Id of the node."""
    root: str
    """Prefix of its topics: `<base>/<node>`."""
    name: str
    """Display name."""
    labels: Sequence[str]
    """Labels of the model, with or without `not_music`."""
    sources: Mapping[str, str]
    """Display names by source id."""
    version: str
    """Version of genrewatch."""
    expire_after_s: int
    """Age at which a state expires, at least 1 s."""
    health_expire_s: int
    """Age at which diagnostics expire, at least 1 s."""
    settable: Collection[str] = ()
    """Keys of the settings that commands can change."""
    announcement: Announcement = Announcement()
    """Facts from the configuration and the machine."""


def discovery(device: Device, removed: Mapping[str, str] = NOTHING) -> dict[str, Any]:
    """Return the payload of the node.

    `removed` maps the keys of components that no longer exist to their platforms (see `platforms`): Home Assistant
    deletes a component that is sent with nothing but its platform. A key that exists is ignored.
    """
    about = {"identifiers": [f"genrewatch.{device.node}"], "name": device.name, "serial_number": device.node}
    return _payload(device, about, components(device), removed)


def source_discovery(device: Device, source: str, removed: Mapping[str, str] = NOTHING) -> dict[str, Any]:
    """Return the payload of a source of the device, like `discovery`."""
    about = {
        "identifiers": [f"genrewatch.{device.node}.{source}"],
        "name": device.sources[source],
        "serial_number": f"{device.node}.{source}",
        "via_device": f"genrewatch.{device.node}",
    }
    if area := device.announcement.areas.get(source):
        about["suggested_area"] = area
    return _payload(device, about, source_components(device, source), removed)


def _payload(
    device: Device, about: Mapping[str, Any], present: Components, removed: Mapping[str, str]
) -> dict[str, Any]:
    gone = {key: {"platform": platform} for key, platform in removed.items() if key not in present}
    made = {"manufacturer": "genrewatch", "model": "Music genre watcher", "sw_version": device.version}
    page = {"configuration_url": url} if (url := device.announcement.page_url) else {}
    return {
        "device": {**about, **made, **page},
        "origin": {"name": "genrewatch", "sw_version": device.version, "support_url": SUPPORT_URL},
        "availability": [_node_online(device)],  # the default of components without their own
        "components": {**present, **gone},
    }


def platforms(announced: Mapping[str, Any]) -> dict[str, str]:
    """Return the platform of each component in a payload, without removed ones."""
    found = announced["components"]
    return {key: component["platform"] for key, component in found.items() if len(component) > 1}


def components(device: Device) -> Components:
    """Return the entities of the node by stable key, `<entity>`."""
    found = node_entities(
        f"{device.root}/health", device.health_expire_s, cpu_temperature=device.announcement.cpu_temperature
    )
    return {key: _named(device, key, key, what) for key, what in found.items()}


def source_components(device: Device, source: str) -> Components:
    """Return the entities and triggers of a source by stable key, `<source>.<entity>`."""
    entities = {
        f"{source}.{entity}": _named(device, f"{source}.{entity}", entity, what)
        for entity, what in _of_source(device, source).items()
    }
    triggers = device_triggers(f"{device.root}/{source}")
    return entities | {f"{source}.{trigger}": what for trigger, what in triggers.items()}


def _of_source(device: Device, source: str) -> Components:
    topic = f"{device.root}/{source}"
    online = {"availability": [_node_online(device), {"topic": f"{topic}/availability"}], "availability_mode": "all"}
    titles = source not in device.announcement.without_title
    shown = source_entities(topic, device.labels, device.expire_after_s, titles=titles)
    controls = source_controls(topic) | settings_entities(topic, device.settable)
    return {entity: {**what, **online} for entity, what in shown.items()} | controls


def _named(device: Device, key: str, entity: str, what: Mapping[str, Any]) -> dict[str, Any]:
    """Return a component with its name and ids; joined by dots, which ids lack, so `a_b` + `c` is not `a` + `b_c`."""
    title = NAMES.get(entity, entity.replace("_", " ").capitalize())
    slug = re.sub(r"[^a-z0-9]+", "_", f"{device.node}_{key}".lower()).strip("_")
    return {
        "platform": what["platform"],
        "name": title,
        "unique_id": f"genrewatch.{device.node}.{key}",
        "default_entity_id": f"{what['platform']}.genrewatch_{slug}",
        "qos": 1,
        **what,
    }


def _node_online(device: Device) -> dict[str, str]:
    return {"topic": f"{device.root}/status"}
