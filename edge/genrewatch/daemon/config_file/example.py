"""An example of the configuration file: every key with its meaning, most of them commented out.

As it stands it listens to the default microphone and publishes to the broker of the same machine.
"""

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping

from genrewatch.daemon.config_file.tables import Key, Table, tables, toml

WIDTH = 110
HEAD = """\
# Configuration of `genrewatch listen --config /etc/genrewatch.toml`: every key, with its meaning and its default.
# `genrewatch config example` prints this file. Remove the # before a key to set it; an unknown key is refused.
# User name and password of the broker belong in GENREWATCH_MQTT_USERNAME and GENREWATCH_MQTT_PASSWORD or in systemd's
# credentials mqtt_username and mqtt_password. A file with a password must be readable by its owner only (chmod 600).
"""

ACTIVE: Mapping[str, object] = {"source.uri": "mic:", "mqtt.url": "mqtt://localhost"}
"""Keys that are set in the example."""
EXAMPLES: dict[str, object] = {
    "node": "living-room",
    "bundle": "/opt/my-bundle",
    "source.id": "vinyl",
    "source.name": "Record player",
    "source.suggested_area": "Living room",
    "source.listening_hours": ["mon-fri 08:00-18:00", "sat 22:00-04:00"],
    "source.quiet_hours": ["23:00-07:00"],
    "source.expected_genres": ["jazz", "blues"],
    "source.expected_hours": ["20:00-23:00"],
    "source.stall_s": 8.0,
    "source.first_sound_s": 20.0,
    "mqtt.username": "living-room",
    "mqtt.password": "secret",
    "mqtt.ca_file": "/etc/genrewatch/ca.pem",
    "mqtt.cert_file": "/etc/genrewatch/client.pem",
    "mqtt.key_file": "/etc/genrewatch/client.key",
    "mqtt.device_name": "Studio rack",
    "mqtt.page_url": "http://studio.local:8710/",
    "mqtt.settable": ["segments", "silence_dbfs"],
    "mqtt.bundles": "/opt/bundles",
    "web.password": "secret",
    "web.hosts": ["music.example.org"],
    "web.proxy": "192.168.1.2",
    "hook.on": ["dead_air", "stalled"],
    "hook.command": "/usr/local/bin/alarm 'studio 1'",
    "hook.url": "http://localhost:1880/genre",
    "hook.notify": ["ntfy://ntfy.example.org/studio"],
    "hook.body": '{"text": "$message"}',
    "hook.title": "genrewatch: $name",
    "hook.headers": {"X-Priority": "high", "X-Tags": "$event_type"},
    "hook.sources": ["vinyl"],
    "hook.hours": ["mon-fri 06:00-22:00"],
}
"""Values shown for keys that have no default, or a default that shows nothing."""


class MissingExample(Exception):
    """A key without a default has no example."""


def example_config(active: Mapping[str, object] = ACTIVE, head: str = HEAD) -> str:
    """Return the whole file, with the values of `active` set by key; raises MissingExample."""
    return "\n".join([head, *(line for found in tables() for line in _table(found, active))])


def _table(found: Table, active: Mapping[str, object]) -> Iterator[str]:
    is_set = any(_path(found, key) in active for key in found.keys)
    yield from _comment(found.meaning)
    if found.header:
        yield found.header if is_set or not _optional_table(found) else f"#{found.header}"
    yield ""
    for key in found.keys:
        yield from _key(found, key, active)
        yield ""


def _optional_table(found: Table) -> bool:
    """Return whether the header itself must be commented out: an empty one of these would be another source or hook."""
    return found.repeated or "." in found.name


def _path(found: Table, key: Key) -> str:
    return f"{found.name}.{key.name}".lstrip(".")


def _key(found: Table, key: Key, active: Mapping[str, object]) -> Iterator[str]:
    path = _path(found, key)
    yield from _comment(key.meaning)
    if path in active:
        yield f"{key.name} = {toml(active[path])}"
    else:
        yield f"#{key.name} = {toml(_shown(path, key))}"


def _shown(path: str, key: Key) -> object:
    if path in EXAMPLES:
        return EXAMPLES[path]
    if key.default is None or key.default is dataclasses.MISSING:
        raise MissingExample(f"{path} has no default, so the table EXAMPLES of {__name__} must hold an example")
    return key.default


def _comment(text: str) -> Iterator[str]:
    return (f"# {line}" for line in textwrap.wrap(text, WIDTH))
