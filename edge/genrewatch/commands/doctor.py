"""`genrewatch doctor`: checks everything that listening needs on this machine, a line each."""

import argparse
import platform
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from genrewatch import __version__
from genrewatch.audio.decoding import ffmpeg_path
from genrewatch.commands.checks import (
    DEFAULT_BROKER,
    Check,
    attempt,
    broker_checks,
    hook_checks,
    print_checks,
    source_checks,
)
from genrewatch.commands.doctor_user import become, user_check
from genrewatch.commands.options import add_bundle
from genrewatch.contract.bundle import Manifest, load_bundle
from genrewatch.contract.errors import ConfigError
from genrewatch.daemon.config import ListenConfig, load_config
from genrewatch.daemon.config_file.faults import file_faults
from genrewatch.daemon.narrow_bands import kept_problems
from genrewatch.history.database import Damaged, Unavailable, database_errors, open_for_reading
from genrewatch.host.node import state_directory
from genrewatch.host.running import running_nodes
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.golden import check_golden
from genrewatch.inference.runtime import runtime_version
from genrewatch.sources.microphone.listing import microphones

LEAST_FREE_MB = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_bundle(parser)
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="check what `listen --config FILE` will run: the file, its sources, broker and hooks",
    )
    parser.add_argument("--user", metavar="NAME", help="check as this user, as the service has it; needs root")
    parser.add_argument("--mqtt", metavar="URL", help=f"broker to try, or none (default {DEFAULT_BROKER})")
    parser.add_argument("--json", action="store_true", help="print JSON lines")


def run(args: argparse.Namespace) -> int:
    """Run all checks; return 1 when something is wrong, which what is absent is not."""
    if args.user:
        become(args.user, args.config)
    found = file_faults(args.config) if args.config else []
    config = ListenConfig() if found else load_config(args.config)
    config = replace(config, bundle=args.bundle or config.bundle)
    checks = [*run_checks(config), *_broker_checks(config, args.mqtt, faulty=bool(found))]
    if args.config:
        file = [Check(name="config", result="wrong", detail=line) for line in found]
        file = file or [Check(name="config", result="ok", detail=f"{args.config}: no faults")]
        checks = [user_check(args.config), *file, *checks, *([] if found else _parts(config))]
    return print_checks(checks, as_json=args.json)


def _broker_checks(config: ListenConfig, url: str | None, *, faulty: bool) -> list[Check]:
    """Check the broker of the command line, or else that of a file without faults."""
    if url is None:
        return [] if faulty else broker_checks(config.mqtt)
    try:
        return broker_checks(replace(config.mqtt, url=url))
    except ConfigError as exc:
        return [Check(name="broker", result="wrong", detail=f"--mqtt: {exc}")]


def _parts(config: ListenConfig) -> list[Check]:
    """Try sources and hooks; sources that a running daemon uses are left to it."""
    try:
        running = running_nodes(state_directory())
    except OSError:  # the state of another user, whose daemon does not show
        running = {}
    if running:
        detail = f"not tried, genrewatch runs as {', '.join(running)} and uses them: see its health"
        return [Check(name="sources", result="absent", detail=detail), *hook_checks(config.hook)]
    return [*source_checks(config), *hook_checks(config.hook)]


def run_checks(config: ListenConfig) -> list[Check]:
    """Return the results of all checks for these settings."""
    return [
        attempt("machine", "wrong", _machine),
        attempt("runtime", "wrong", runtime_version),
        attempt("bundle", "wrong", lambda: _golden(config)),
        attempt("decoder", "absent", lambda: f"ffmpeg at {ffmpeg_path()}"),
        attempt("microphone", "absent", _microphone),
        attempt("band", "absent", _band),
        attempt("disk", "wrong", _disk),
        attempt("history", "wrong", _history),
    ]


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
