"""The page of `genrewatch listen`, with what it needs to help with problems."""

import argparse
import logging
import os
from collections.abc import Callable, Sequence

from genrewatch.commands.source_settings import expectations
from genrewatch.daemon.config import ListenConfig
from genrewatch.daemon.shown_config import shown_config
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.history.database import database_path
from genrewatch.host.node import state_directory
from genrewatch.host.persistent_state import PersistentState
from genrewatch.host.recent_lines import RecentLines
from genrewatch.sinks.mqtt.config import PASSWORD_VARIABLE, USERNAME_VARIABLE
from genrewatch.sinks.web.doctor import Doctor
from genrewatch.sinks.web.live_sources import SourceLabel
from genrewatch.sinks.web.node_api import Support
from genrewatch.sinks.web.sink import WebSink
from genrewatch.sources.kinds import kind_of

log = logging.getLogger("genrewatch")


def open_web(
    config: ListenConfig,
    node: str,
    setups: Sequence[SourceSetup],
    persistent_state: PersistentState,
    support: Support,
) -> WebSink | None:
    """Return the sink of the page; None where it is disabled or cannot be served."""
    web = config.web.with_environment(os.environ)
    if not web.enabled:
        return None
    labels = {
        setup.source.id: SourceLabel(name=setup.name, kind=kind_of(wanted))
        for setup, wanted in zip(setups, config.source, strict=True)
    }
    sink = WebSink(
        web,
        config.mqtt,
        node,
        setups[0].pipeline.manifest,
        labels,
        persistent_state=persistent_state,
        history=database_path(state_directory(), node) if config.history.enabled else None,
        support=support,
        expectations=expectations(config, setups),
    )
    if not sink.start():
        return None
    log.info("page at %s", sink.url)
    return sink


def support(args: argparse.Namespace, present: Callable[[], ListenConfig], recent: RecentLines) -> Support:
    """Return what the page offers for problems; its checks have the settings that `present` returns."""
    config = present()
    arguments = ["--mqtt", args.mqtt] if args.mqtt else []
    arguments += ["--config", str(args.config.absolute())] if args.config else []
    arguments += ["--bundle", str(config.bundle_path.absolute())]
    mqtt = config.mqtt.with_environment(os.environ)
    login = {USERNAME_VARIABLE: mqtt.username, PASSWORD_VARIABLE: mqtt.password}
    doctor = Doctor(arguments, {name: value for name, value in login.items() if value is not None})
    return Support(doctor=doctor, config=lambda: shown_config(present()), log_lines=recent.lines)
