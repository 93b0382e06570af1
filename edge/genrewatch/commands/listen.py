"""`genrewatch listen`: the daemon, with defaults that work without a configuration."""

import argparse
import logging
import os
import sys
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from genrewatch.commands.effective_config import add_config_options, effective_config
from genrewatch.commands.listen_bundle import open_first
from genrewatch.commands.listen_inputs import names, open_inputs
from genrewatch.commands.listen_reload import RunningConfiguration
from genrewatch.commands.listen_sinks import Broker, open_history, open_hooks, open_mqtt
from genrewatch.commands.listen_web import open_web, support
from genrewatch.commands.source_settings import hours_by_source
from genrewatch.daemon.daemon import Daemon
from genrewatch.daemon.reload import ReloadResult
from genrewatch.host.heap import limit_heap
from genrewatch.host.limits import raise_open_files
from genrewatch.host.line_writer import LineHandler, LineWriter
from genrewatch.host.log_format import LOG_FORMATS, default_format, log_formatter
from genrewatch.host.node import held_node_id, state_directory
from genrewatch.host.orphans import adopt_orphans
from genrewatch.host.persistent_state import PersistentState
from genrewatch.host.recent_lines import RecentLines
from genrewatch.host.running import announce, write_answer
from genrewatch.host.service_manager import ServiceManager
from genrewatch.learning.bundle_choice import BundleChoice
from genrewatch.sinks.level_line import CLEAR, LevelLine
from genrewatch.sinks.printer import ChangePrinter, JsonPrinter, OutputHealth
from genrewatch.sinks.sink import Sink

log = logging.getLogger("genrewatch")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_config_options(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON line for each segment")
    louder = parser.add_mutually_exclusive_group()
    louder.add_argument("-v", "--verbose", action="store_true", help="log details too")
    louder.add_argument("-q", "--quiet", action="store_true", help="log warnings and errors only")
    parser.add_argument(
        "--log-format",
        choices=LOG_FORMATS,
        help="form of the log on standard error (default journal under systemd, else text)",
    )


def run(args: argparse.Namespace) -> int:
    """Listen until stopped or until every source has ended."""
    mask = os.umask(0o077)  # what is kept on disk is for this user only
    before = CLEAR if _shows_levels(args) else ""
    stdout, stderr = LineWriter(sys.stdout, "stdout", before=before), LineWriter(sys.stderr, "stderr", before=before)
    recent, log_lines = RecentLines(), LineHandler(stderr)
    log_lines.setFormatter(log_formatter(args.log_format or default_format(os.environ)))
    level = logging.DEBUG if args.verbose else logging.WARNING if args.quiet else logging.INFO
    logging.basicConfig(handlers=[log_lines, recent], level=level, format="genrewatch: %(message)s")
    raise_open_files()
    limit_heap()
    adopt_orphans()
    try:
        return _listen(args, stdout, stderr, recent)
    finally:
        stdout.close()
        stderr.close()
        os.umask(mask)


def _shows_levels(args: argparse.Namespace) -> bool:
    """Return whether a user looks at a terminal."""
    return not (args.json or args.quiet) and sys.stdout.isatty() and sys.stderr.isatty()


def _listen(args: argparse.Namespace, stdout: LineWriter, stderr: LineWriter, recent: RecentLines) -> int:
    config = effective_config(args)
    directory = state_directory()
    with ExitStack() as stack:
        node = stack.enter_context(held_node_id(directory, config.node))
        choice = BundleChoice(directory, node)
        setups = open_inputs(config, open_first(config, args, choice), args.config)
        manifest = setups[0].pipeline.manifest
        persistent_state = PersistentState(directory / f"memory-{node}.json")
        stack.callback(persistent_state.close)
        broker = Broker(stack, node)
        settings = broker.settings(config)
        mqtt = open_mqtt(settings, config, node, setups, persistent_state)
        history, hooks = open_history(config, node, setups, mqtt), open_hooks(config, args.config, node, setups)
        running = RunningConfiguration(
            args,
            config,
            setups,
            node=node,
            broker=broker,
            settings=settings,
            mqtt=mqtt,
            history=history,
            hooks=hooks,
            persistent_state=persistent_state,
        )
        web = open_web(config, node, setups, persistent_state, support(args, lambda: running.config, recent))
        printer = JsonPrinter(stdout) if args.json else ChangePrinter(stdout)
        levels = LevelLine(stderr) if _shows_levels(args) else None
        sinks: list[Sink | None] = [printer, OutputHealth(stdout, stderr), web, history, hooks, levels, mqtt]
        log.info("bundle %s %s, sources: %s", manifest.name, manifest.version, ", ".join(names(setups)))
        daemon = Daemon(
            setups,
            [sink for sink in sinks if sink],
            health_s=config.health_s,
            heartbeat_s=config.mqtt.heartbeat_s,
            persistent_state=persistent_state,
            open_bundle=running.open_bundle,
            chosen_bundle=choice.read,
            settable=config.mqtt.settable,
            listening_hours=hours_by_source(config, setups, "listening_hours"),
            service_manager=ServiceManager(),
        )
        stdout.on_broken_pipe = daemon.on_broken_pipe
        if mqtt:
            mqtt.set_command_handler(daemon)
            mqtt.start()
        if web:
            web.set_control(daemon)
        _take_signals(daemon, running, directory, node)
        return daemon.run()


def _take_signals(daemon: Daemon, running: RunningConfiguration, directory: Path, node: str) -> None:
    """Let signals, and so `genrewatch reload`, reach the daemon."""

    def write(result: ReloadResult) -> None:
        with suppress(OSError):  # a directory that cannot be written is reported already
            write_answer(directory, node, asdict(result))

    daemon.reload_with(partial(running.prepare_reload, daemon), write)
    daemon.stop_on_signals()
    with suppress(OSError):
        announce(directory, node)
