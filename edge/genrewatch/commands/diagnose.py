"""`genrewatch diagnose`: one file with all that a report of a problem needs, without secrets."""

import argparse
import base64
import io
import json
import urllib.request
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genrewatch.commands.checks import broker_checks
from genrewatch.commands.doctor import run_checks
from genrewatch.contract.errors import ConfigError, os_error_reason
from genrewatch.daemon.config import load_config
from genrewatch.daemon.shown_config import shown_config
from genrewatch.host.private_files import open_private
from genrewatch.host.times import rfc3339, utc_now
from genrewatch.sinks.web.config import WebConfig, web_address
from genrewatch.sinks.web.diagnosis import diagnosis_zip

ASK_S = 10.0
MAX_BYTES = 20_000_000
FROM_DAEMON = ("health.json", "log.txt", "config.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings of the daemon")
    parser.add_argument("--web", metavar="ADDRESS", help="[HOST:]PORT of its page, or none (default 127.0.0.1:8710)")
    output = Path("genrewatch-diagnosis.zip")
    parser.add_argument(
        "-o", "--output", type=Path, default=output, metavar="FILE", help=f"file to write (default {output})"
    )


def run(args: argparse.Namespace) -> int:
    """Write the file; returns 0, also where no daemon runs."""
    config = load_config(args.config)
    web = (web_address(args.web, config.web) if args.web else config.web).with_environment()
    checks = {
        "ts": rfc3339(utc_now()),
        "checks": [asdict(check) for check in [*run_checks(config), *broker_checks(config.mqtt)]],
    }
    made = diagnosis_zip({"config.json": shown_config(config), "doctor.json": checks, **_of_daemon(web)})
    try:
        with open(open_private(args.output), "wb") as file:
            file.write(made)
    except OSError as exc:
        raise ConfigError(str(args.output), os_error_reason(exc), "a file that can be written") from None
    print(f"{args.output}: {len(made)} bytes; it was searched for passwords, but please look before you send it")
    return 0


def _of_daemon(web: WebConfig) -> dict[str, Any]:
    """Return the files that only a running daemon can give, or a line that says why there are none."""
    if not web.enabled:
        return {"daemon.txt": "not asked: its page is off\n"}
    address = "http://" + f"{'127.0.0.1' if web.host in ('0.0.0.0', '::') else web.host}:{web.port}"
    request = urllib.request.Request(f"{address}/api/v1/diagnosis.zip")
    if web.password is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(f":{web.password}".encode()).decode())
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=ASK_S) as answer:
            found = zipfile.ZipFile(io.BytesIO(answer.read(MAX_BYTES)))
        texts = {name: found.read(name).decode() for name in FROM_DAEMON}
        return {name: json.loads(text) if name.endswith(".json") else text for name, text in texts.items()}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as exc:
        return {"daemon.txt": f"no daemon answers at {address}: {exc}\n"}
