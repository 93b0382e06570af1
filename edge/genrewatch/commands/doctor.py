"""`genrewatch doctor`: checks everything that listening needs on this machine, a line each."""

import argparse
import json
import os
import platform
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from genrewatch import __version__
from genrewatch.audio.decoding import ffmpeg_path
from genrewatch.commands.options import add_bundle
from genrewatch.contract.bundle import Manifest, load_bundle
from genrewatch.contract.errors import GenrewatchError
from genrewatch.daemon.config import ListenConfig, load_config
from genrewatch.daemon.narrow_bands import kept_problems
from genrewatch.history.database import Damaged, Unavailable, database_errors, open_for_reading
from genrewatch.host.node import node_id, state_directory
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.golden import check_golden
from genrewatch.inference.runtime import runtime_version
from genrewatch.sinks.mqtt.broker import check_access, try_broker
from genrewatch.sinks.mqtt.sink import MqttConfig
from genrewatch.sources.microphone.listing import microphones

LEAST_FREE_MB = 100
DEFAULT_BROKER = "mqtt://localhost"


@dataclass(frozen=True, kw_only=True)
class Check:
    """Result of one check."""

    name: str
    result: Literal["ok", "absent", "wrong"]
    """`absent`: missing, but not needed."""
    detail: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_bundle(parser)
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings to check: those of `listen --config FILE`"
    )
    parser.add_argument("--mqtt", metavar="URL", help=f"broker to try, or none (default {DEFAULT_BROKER})")
    parser.add_argument("--json", action="store_true", help="print JSON lines")


def run(args: argparse.Namespace) -> int:
    """Run all checks; return 1 when something is wrong, which what is absent is not."""
    checks = run_checks(_settings(args))
    for check in checks:
        print(json.dumps(asdict(check)) if args.json else f"{check.result:6}  {check.name:10}  {check.detail}")
    return 1 if any(check.result == "wrong" for check in checks) else 0


def _settings(args: argparse.Namespace) -> ListenConfig:
    """Return the settings of the file, overridden by the command line."""
    config = load_config(args.config)
    mqtt = replace(config.mqtt, url=args.mqtt) if args.mqtt else config.mqtt
    return replace(config, bundle=args.bundle or config.bundle, mqtt=mqtt)


def run_checks(config: ListenConfig) -> list[Check]:
    """Return the results of all checks for these settings."""
    return [
        _try("machine", "wrong", _machine),
        _try("runtime", "wrong", runtime_version),
        _try("bundle", "wrong", lambda: _golden(config)),
        _try("decoder", "absent", lambda: f"ffmpeg at {ffmpeg_path()}"),
        _try("microphone", "absent", _microphone),
        _try("band", "absent", _band),
        *_broker_checks(config.mqtt),
        _try("disk", "wrong", _disk),
        _try("history", "wrong", _history),
    ]


def _try(name: str, otherwise: Literal["absent", "wrong"], ask: Callable[[], str]) -> Check:
    try:
        return Check(name=name, result="ok", detail=ask())
    except (GenrewatchError, OSError, ImportError) as exc:
        return Check(name=name, result=otherwise, detail=str(exc))


def _machine() -> str:
    return f"genrewatch {__version__}, Python {platform.python_version()}, {platform.machine()}"


def _golden(config: ListenConfig) -> str:
    bundle = load_bundle(config.bundle_path)
    report = check_golden(bundle, Classifier.of(bundle))
    return (
        f"{bundle.manifest.name} {bundle.manifest.version}: golden vectors agree, "
        f"log-mel within {report.log_mel:.1e}, posterior within {report.posterior:.1e}" + _thresholds(bundle.manifest)
    )


def _thresholds(manifest: Manifest) -> str:
    """Return the accuracy above each measured confidence threshold, as text."""
    return "".join(
        f"; right {limit.accuracy:.0%} of the time from confidence {limit.confidence:.2f} on"
        for limit in manifest.thresholds
        if limit.confidence is not None
    )


def _microphone() -> str:
    found = microphones()
    if not found:
        raise OSError("none on this machine")
    return ", ".join(device.name if device.usable else f"{device.name} (in use)" for device in found)


def _band() -> str:
    """Check that the sources carry the whole band of the model, as far as the daemon has measured it."""
    if problems := kept_problems(state_directory()):
        raise OSError("; ".join(problems))
    return "no source with a narrow band is known"


def _broker_checks(settings: MqttConfig) -> list[Check]:
    """Check the connection to the broker and, where there is one, what this login may publish and subscribe to."""
    if settings.url == "none":
        return [Check(name="broker", result="absent", detail="none is used: mqtt.url is none")]
    known = settings if settings.url != "auto" else replace(settings, url=DEFAULT_BROKER)
    config = known.with_environment(os.environ)
    connection = _try("broker", "absent", lambda: try_broker(config))
    return [connection, _try("access", "wrong", lambda: _access(config))] if connection.result == "ok" else [connection]


def _access(config: MqttConfig) -> str:
    directory = state_directory()
    node = node_id(directory) if (directory / "node_id").exists() else config.username or "doctor"
    if problems := check_access(config, node):
        raise OSError("; ".join(problems))
    return f"publishing and subscribing below {config.base}/{node} work"


def _history() -> str:
    """Check that the histories can be read; `genrewatch history verify` checks that they are complete."""
    directory = state_directory()
    found = []
    for path in sorted(directory.glob("history-*.db")):
        if ".damaged-" in path.name:
            found.append(f"{path.name} was set aside")
            continue
        try:
            db = open_for_reading(path)
        except (Unavailable, Damaged) as exc:
            raise OSError(f"{path}: {exc}") from None
        with closing(db), database_errors():
            stored, waiting = (
                db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("spells", "outbox")
            )
        found.append(f"{path.stem.removeprefix('history-')}: {stored} spells kept, {waiting} to be delivered")
    return ", ".join(found) or f"none in {directory} yet"


def _disk() -> str:
    directory = state_directory()
    directory.mkdir(parents=True, exist_ok=True)
    probe = directory / ".doctor"
    probe.write_text("can be written\n", encoding="utf-8")
    probe.unlink()
    free_mb = shutil.disk_usage(directory).free // 1_000_000
    if free_mb < LEAST_FREE_MB:
        raise OSError(f"{directory} has {free_mb} MB free, expected at least {LEAST_FREE_MB}")
    return f"{directory} can be written, {free_mb} MB free"
