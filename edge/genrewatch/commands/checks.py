"""Trials of sources, broker and hooks for `genrewatch doctor` and `genrewatch config check --open`, a line each."""

import json
import os
import shutil
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Literal

from genrewatch.contract.errors import ConfigError, GenrewatchError, os_error_reason
from genrewatch.daemon.config import ListenConfig
from genrewatch.daemon.config_file.faults import source_names
from genrewatch.host.node import node_id, state_directory
from genrewatch.host.shell_words import split_command
from genrewatch.sinks.hooks.config import HookConfig, split_url
from genrewatch.sinks.mqtt.broker import BrokerAbsent, check_access, try_broker
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sources.trial import try_source
from genrewatch.sources.uri import SourceConfig

DEFAULT_BROKER = "mqtt://localhost"
CONNECT_S = 5.0
AT_ONCE = 16
"""Sources that are tried at the same time."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """Result of one check."""

    name: str
    result: Literal["ok", "absent", "wrong"]
    """`absent`: missing, but not needed."""
    detail: str


def attempt(name: str, otherwise: Literal["absent", "wrong"], ask: Callable[[], str]) -> Check:
    """Return the result of a check that raises an error for what does not work."""
    try:
        return Check(name=name, result="ok", detail=ask())
    except (GenrewatchError, OSError, ImportError) as exc:
        return Check(name=name, result=otherwise, detail=str(exc))


def print_checks(checks: Sequence[Check], *, as_json: bool) -> int:
    """Print a line for each check; return 1 when something is wrong, which what is absent is not."""
    for check in checks:
        print(json.dumps(asdict(check)) if as_json else f"{check.result:6}  {check.name:10}  {check.detail}")
    return 1 if any(check.result == "wrong" for check in checks) else 0


def broker_checks(settings: MqttConfig) -> list[Check]:
    """Check the connection to the broker and, where there is one, what this login may publish and subscribe to.

    Only a broker that no setting names may be absent.
    """
    if settings.url == "none":
        return [Check(name="broker", result="absent", detail="none is used: mqtt.url is none")]
    known = settings if settings.url != "auto" else replace(settings, url=DEFAULT_BROKER)
    try:
        config = known.with_environment(os.environ)
        connection = Check(name="broker", result="ok", detail=try_broker(config))
    except BrokerAbsent as exc:
        result: Literal["absent", "wrong"] = "absent" if settings.url == "auto" else "wrong"
        return [Check(name="broker", result=result, detail=str(exc))]
    except (GenrewatchError, OSError) as exc:
        return [Check(name="broker", result="wrong", detail=str(exc))]
    return [connection, attempt("access", "wrong", lambda: _access(config))]


def _access(config: MqttConfig) -> str:
    directory = state_directory()
    node = node_id(directory) if (directory / "node_id").exists() else config.username or "doctor"
    if problems := check_access(config, node):
        raise OSError("; ".join(problems))
    return f"publishing and subscribing below {config.base}/{node} work"


def source_checks(config: ListenConfig) -> list[Check]:
    """Open every source and wait for its sound, several at a time."""
    sources = config.source or (SourceConfig(uri="auto"),)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        names = [f"source {source_id}" for source_id in source_names(config)]
        trials = [partial(try_source, source) for source in sources]
        return list(pool.map(attempt, names, ["wrong"] * len(names), trials))


def hook_checks(hooks: Sequence[HookConfig]) -> list[Check]:
    """Check that each program and server exists; nothing is run and nothing is sent."""
    return [attempt(f"hook {n}", "wrong", partial(_try_hook, hook)) for n, hook in enumerate(hooks)]


def _try_hook(hook: HookConfig) -> str:
    if hook.command is not None:
        program = split_command(hook.command, "command")[0]
        if shutil.which(program) is None:
            raise ConfigError("command", f"{program} is no program that can run", "its path, or a program on the PATH")
        return f"{program} can run; it was not run"
    if hook.notify:
        return f"{hook.target}: Apprise knows the addresses; nothing was sent"
    parts = split_url(hook.url or "")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), CONNECT_S) as plain:
            if parts.scheme == "https":
                ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname).close()
    except OSError as exc:
        raise ConfigError("url", f"{hook.target}: {os_error_reason(exc)}", "a server that answers") from None
    return f"{hook.target} accepts connections; nothing was sent"
