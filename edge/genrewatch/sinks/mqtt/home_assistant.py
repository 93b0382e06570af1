"""What Home Assistant needs to show a box by itself: the payload of `<prefix>/device/<node>/config`.

One device a box, with the entities of each source and the box's own diagnostics. Every id comes from the node's id and
the source's, so that whatever else changes, Home Assistant still knows whose history it keeps. Nothing here talks to a
broker.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from genrewatch.sinks.mqtt.home_assistant_entities import Components, node_entities, source_controls, source_entities

SUPPORT_URL = "https://www.home-assistant.io/integrations/mqtt/"
"""Where Home Assistant sends a person with questions about a device that was found so."""
NAMES = {"cpu_temperature": "CPU temperature", "real_time_factor": "Real-time factor", "segments": "Segments heard"}
"""Names of things for people, where they do not follow from the things' keys."""
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Box:
    """What is to be announced."""

    node: str
    """Id of the box."""
    root: str
    """Topic that all of its topics are below: `<base>/<node>`."""
    name: str
    """The box's name for people."""
    labels: Sequence[str]
    """Labels of the model, with `not_music` or without."""
    sources: Mapping[str, str]
    """Source id to its name for people."""
    version: str
    """genrewatch's."""
    expire_after_s: int
    """A state that is older says nothing any more, at least 1 s."""
    health_expire_s: int
    """Nor do diagnostics that are older, at least 1 s."""


def discovery(box: Box, removed: Mapping[str, str] = NOTHING) -> dict[str, Any]:
    """The whole payload.

    `removed` names components that are no more with their platform, as `platforms` told it while they still were: Home
    Assistant deletes what is sent with its platform alone. One that is there again is not removed.
    """
    present = components(box)
    gone = {key: {"platform": platform} for key, platform in removed.items() if key not in present}
    return {
        "device": {
            "identifiers": [f"genrewatch.{box.node}"],
            "name": box.name,
            "manufacturer": "genrewatch",
            "model": "Music genre watcher",
            "serial_number": box.node,
            "sw_version": box.version,
        },
        "origin": {"name": "genrewatch", "sw_version": box.version, "support_url": SUPPORT_URL},
        "availability": [_node_online(box)],  # holds for each component that has none of its own
        "components": {**present, **gone},
    }


def platforms(announced: Mapping[str, Any]) -> dict[str, str]:
    """Component key -> platform, of what `components` or `discovery` gave; what is being removed is not in it."""
    found = announced.get("components", announced)
    return {key: component["platform"] for key, component in found.items() if len(component) > 1}


def components(box: Box) -> Components:
    """All entities by keys that stay: `<source>.<thing>` for those of a source, `<thing>` for the box's own."""
    made = {
        key: _named(box, key, key, what)
        for key, what in node_entities(f"{box.root}/health", box.health_expire_s).items()
    }
    for source, name in box.sources.items():
        # The name tells sources apart; beside a single one it would only be in the way.
        prefix = f"{name} " if len(box.sources) > 1 else ""
        for thing, what in _of_source(box, source).items():
            made[f"{source}.{thing}"] = _named(box, f"{source}.{thing}", thing, what, prefix)
    return made


def _of_source(box: Box, source: str) -> Components:
    topic = f"{box.root}/{source}"
    online = {"availability": [_node_online(box), {"topic": f"{topic}/availability"}], "availability_mode": "all"}
    shown = source_entities(topic, box.labels, box.expire_after_s)
    return {**{thing: {**what, **online} for thing, what in shown.items()}, **source_controls(topic)}


def _named(box: Box, key: str, thing: str, what: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A component with its name and its ids. Dots join the ids, which have none: `a_b` + `c` is not `a` + `b_c`."""
    title = NAMES.get(thing, thing.replace("_", " ").capitalize())
    slug = re.sub(r"[^a-z0-9]+", "_", f"{box.node}_{key}".lower()).strip("_")
    return {
        "platform": what["platform"],
        "name": prefix + title.lower() if prefix else title,
        "unique_id": f"genrewatch.{box.node}.{key}",
        "default_entity_id": f"{what['platform']}.{slug}",
        "qos": 1,
        **what,
    }


def _node_online(box: Box) -> dict[str, str]:
    return {"topic": f"{box.root}/status"}
