"""The payload of Home Assistant's MQTT device discovery, `<prefix>/device/<node>/config`.

A node is one device with the entities of each source and its own diagnostics. Every id is made of the ids of the node
and the source only, so Home Assistant keeps the history of an entity when names or models change.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from genrewatch.sinks.mqtt.home_assistant_entities import Components, node_entities, source_controls, source_entities

SUPPORT_URL = "https://www.home-assistant.io/integrations/mqtt/"
"""Link that Home Assistant shows beside a discovered device."""
NAMES = {"cpu_temperature": "CPU temperature", "real_time_factor": "Real-time factor", "segments": "Segments heard"}
"""Display names that do not follow from the keys of the entities."""
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Device:
    """The facts of a device that its discovery announces."""

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


def discovery(device: Device, removed: Mapping[str, str] = NOTHING) -> dict[str, Any]:
    """Return the whole payload.

    `removed` maps the keys of components that no longer exist to their platforms (see `platforms`): Home Assistant
    deletes a component that is sent with nothing but its platform. A key that exists is ignored.
    """
    present = components(device)
    gone = {key: {"platform": platform} for key, platform in removed.items() if key not in present}
    return {
        "device": {
            "identifiers": [f"genrewatch.{device.node}"],
            "name": device.name,
            "manufacturer": "genrewatch",
            "model": "Music genre watcher",
            "serial_number": device.node,
            "sw_version": device.version,
        },
        "origin": {"name": "genrewatch", "sw_version": device.version, "support_url": SUPPORT_URL},
        "availability": [_node_online(device)],  # the default of components without their own
        "components": {**present, **gone},
    }


def platforms(announced: Mapping[str, Any]) -> dict[str, str]:
    """Return the platform of each component in the result of `components` or `discovery`, without removed ones."""
    found = announced.get("components", announced)
    return {key: component["platform"] for key, component in found.items() if len(component) > 1}


def components(device: Device) -> Components:
    """Return all entities by stable key: `<source>.<entity>` for a source, `<entity>` for the node."""
    made = {
        key: _named(device, key, key, what)
        for key, what in node_entities(f"{device.root}/health", device.health_expire_s).items()
    }
    for source, name in device.sources.items():
        # The source's name is only useful where there are several.
        prefix = f"{name} " if len(device.sources) > 1 else ""
        for entity, what in _of_source(device, source).items():
            made[f"{source}.{entity}"] = _named(device, f"{source}.{entity}", entity, what, prefix)
    return made


def _of_source(device: Device, source: str) -> Components:
    topic = f"{device.root}/{source}"
    online = {"availability": [_node_online(device), {"topic": f"{topic}/availability"}], "availability_mode": "all"}
    shown = source_entities(topic, device.labels, device.expire_after_s)
    return {**{entity: {**what, **online} for entity, what in shown.items()}, **source_controls(topic)}


def _named(device: Device, key: str, entity: str, what: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a component with its name and ids; joined by dots, which ids lack, so `a_b` + `c` is not `a` + `b_c`."""
    title = NAMES.get(entity, entity.replace("_", " ").capitalize())
    slug = re.sub(r"[^a-z0-9]+", "_", f"{device.node}_{key}".lower()).strip("_")
    return {
        "platform": what["platform"],
        "name": prefix + title.lower() if prefix else title,
        "unique_id": f"genrewatch.{device.node}.{key}",
        "default_entity_id": f"{what['platform']}.{slug}",
        "qos": 1,
        **what,
    }


def _node_online(device: Device) -> dict[str, str]:
    return {"topic": f"{device.root}/status"}
