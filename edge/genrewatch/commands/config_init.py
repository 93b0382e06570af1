"""`genrewatch config init`: asks a few questions and writes a configuration file with comments."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from genrewatch.commands.checks import broker_checks
from genrewatch.commands.init_source import choose_source
from genrewatch.commands.prompts import Prompts
from genrewatch.contract.errors import ConfigError, GenrewatchError, os_error_reason
from genrewatch.daemon.config_file.example import HEAD, example_config
from genrewatch.host.paths import replace_file
from genrewatch.host.private_files import FILE_MODE
from genrewatch.host.untrusted_text import printable
from genrewatch.sinks.mqtt.broker import PORT, answers
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.find_brokers import find_brokers

READABLE = 0o644
ATTEMPTS = 3
"""Times that a wrong answer is asked for again."""


def init(args: argparse.Namespace) -> int:
    """Ask and write the file; returns 1 when an existing one is kept."""
    prompts, path = Prompts(defaults=args.yes), args.file
    if os.path.lexists(path) and not prompts.confirm(f"{path} exists. Replace it?", default=False):
        print(f"{path} is kept as it is; another FILE writes a second one")
        return 1
    chosen: dict[str, object] = {"source.uri": choose_source(prompts)}
    chosen |= _broker(prompts)
    for key, question in (("source.name", "Name of the source, for people"), ("source.suggested_area", "Location")):
        if answer := prompts.ask(f"{question} (empty for none)"):
            chosen[key] = printable(answer)
    _write(path, chosen)
    return 0


def _write(path: Path, chosen: Mapping[str, object]) -> None:
    secret = "mqtt.password" in chosen
    mode = FILE_MODE if secret else READABLE
    head = HEAD.replace("`genrewatch config example` prints this file.", "Written by `genrewatch config init`.")
    try:
        replace_file(path, example_config(chosen, head).encode(), mode=mode)
    except OSError as exc:
        raise ConfigError(str(path), os_error_reason(exc), "a file that can be written") from None
    print(f"{path} is written, mode {mode:o}{': it holds a password' if secret else ''}")
    if secret and os.geteuid() == 0:
        print("A service with a user of its own cannot read it: give it the password as a credential (docs, Service)")
    print(f"Next: genrewatch config check --open {path}, then genrewatch listen --config {path}")


def _broker(prompts: Prompts) -> dict[str, object]:
    """Return the keys of the broker; a login that is refused may be given again."""
    url = _url(prompts)
    if url in ("none", "auto"):
        return {"mqtt.url": url}
    for _ in range(ATTEMPTS):
        username = prompts.ask("User name at the broker (empty for none)") or None
        password = prompts.secret("Password") if username else None
        config = MqttConfig(url=url, username=username, password=password or None)
        [connection, *_rest] = broker_checks(config)
        print(f"{connection.result}: {connection.detail}")
        if connection.result == "ok" or not prompts.live or not prompts.confirm("Another login?", default=True):
            break
    keys = {"mqtt.url": url, "mqtt.username": config.username, "mqtt.password": config.password}
    return {key: value for key, value in keys.items() if value is not None}


def _url(prompts: Prompts) -> str:
    """Return the URL of a broker that was found or given; ConfigError when every answer is wrong."""
    found = _found_urls()
    for url, description in found.items():
        print(f"  {url}  {description}")
    default = next(iter(found), f"mqtt://localhost:{PORT}")
    for attempt in range(ATTEMPTS):
        url = prompts.ask("Broker (mqtt://HOST[:PORT], mqtts://HOST, none)", default)
        try:
            return MqttConfig(url=url if "://" in url or url in ("none", "auto") else f"mqtt://{url}").url
        except ConfigError as exc:
            if attempt == ATTEMPTS - 1:
                raise
            print(exc)
    raise AssertionError("unreachable")


def _found_urls() -> dict[str, str]:
    """Return brokers by URL, with a description: the one on this machine first."""
    found = {}
    if answers("localhost", PORT):
        found[f"mqtt://localhost:{PORT}"] = "answers on this machine"
    try:
        found |= {broker.url: printable(broker.description) for broker in find_brokers()}
    except GenrewatchError as exc:
        print(f"The network is not searched for brokers: {exc}")
    return found
