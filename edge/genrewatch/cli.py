"""The command line of the device: `genrewatch listen | history | report | classify | ...`.

A mistake of the user's gets one line on standard error and exit code 2.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from genrewatch import __version__
from genrewatch.contract.errors import GenrewatchError

Handler = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name need not be text
    parsed = parser().parse_args(arguments)
    handler: Handler = parsed.handler
    try:
        return handler(parsed)
    except GenrewatchError as exc:
        print(f"genrewatch: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def parser() -> argparse.ArgumentParser:
    """All commands and their options; the command's module is imported only when it runs."""
    top = argparse.ArgumentParser(prog="genrewatch", description="Knows which genre of music is playing, and says so.")
    top.add_argument("--version", action="version", version=f"genrewatch {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    listen = commands.add_parser("listen", help="listen to sources and publish verdicts")
    listen.add_argument("--config", type=Path, metavar="FILE", help="TOML file; options here go before it")
    listen.add_argument(
        "--source",
        action="append",
        metavar="URI",
        help="auto, mic:, mic:NAME, file:PATH, stdin:, cmd:COMMAND or demo:; again for several (default auto)",
    )
    _bundle(listen)
    listen.add_argument("--mqtt", metavar="URL", help="mqtt://HOST[:PORT], mqtts://..., auto or none (default auto)")
    listen.add_argument("--node", metavar="ID", help="this box's name in topics (default one kept on disk)")
    listen.add_argument("--json", action="store_true", help="print a JSON line for each segment")
    listen.set_defaults(handler=_listen)

    _history_commands(commands)
    _clean_mqtt_command(commands)

    classify = commands.add_parser("classify", help="classify sound files and folders of them")
    classify.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    _bundle(classify)
    classify.add_argument("--json", action="store_true", help="print JSON lines")
    classify.add_argument("--timeline", action="store_true", help="add a line for each segment, the rolling verdict")
    classify.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default 1; 0 = one a core)")
    classify.set_defaults(handler=_classify)

    devices = commands.add_parser("devices", help="list microphones and the --source that opens each")
    devices.add_argument("--json", action="store_true", help="print JSON lines")
    devices.set_defaults(handler=_devices)

    doctor = commands.add_parser("doctor", help="check bundle, runtime, decoder, microphone, broker and disk")
    _bundle(doctor)
    doctor.add_argument("--mqtt", default="mqtt://localhost", metavar="URL", help="broker to try")
    doctor.add_argument("--json", action="store_true", help="print JSON lines")
    doctor.set_defaults(handler=_doctor)

    bench = commands.add_parser("bench", help="measure speed and memory on this machine")
    _bundle(bench)
    bench.add_argument("--json", action="store_true", help="print one JSON object")
    bench.add_argument("--sources", metavar="N,N...", help="measure so many live sources on one core instead")
    bench.add_argument("--seconds", type=float, default=20.0, help="how long, with --sources (default 20)")
    bench.set_defaults(handler=_bench)

    _drill_command(commands)
    return top


def _drill_command(commands: Any) -> None:
    drill = commands.add_parser("drill", help="play every fault that a source can have, and check what is said of it")
    drill.add_argument("--short", action="store_true", help="short stall times: under a minute")
    drill.add_argument("--only", action="append", metavar="ROW", help="one row of the table; again for several")
    drill.add_argument("--json", action="store_true", help="print JSON lines")
    drill.add_argument("--markdown", type=Path, metavar="FILE", help="write the table to a file as well")
    drill.add_argument("--soak", type=float, metavar="HOURS", help="hours of sound at full speed, with faults, instead")
    instead = drill.add_argument_group("is anything lost? (these are played instead; several one after the other)")
    instead.add_argument("--kills", type=int, metavar="N", help="kill the daemon N times, and the broker beside it")
    instead.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments of the kills (default 0)")
    instead.add_argument("--fleet", type=int, metavar="N", help="N nodes on one broker, killed in the middle")
    instead.add_argument("--minutes", type=float, default=2.0, metavar="M", help="how long, with --fleet (default 2)")
    instead.add_argument("--outages", type=int, metavar="N", help="kill the broker N times for a while")
    instead.add_argument("--outage-s", type=float, default=60.0, metavar="S", help="for so long (default 60)")
    instead.add_argument(
        "--audio", type=Path, nargs="+", metavar="FILE", help="clips to play in it (default made ones)"
    )
    instead.add_argument("--disk", action="store_true", help="full and read-only disk, damaged database, a set clock")
    drill.set_defaults(handler=_drill)


def _clean_mqtt_command(commands: Any) -> None:
    clean = commands.add_parser("clean-mqtt", help="make the broker, and so Home Assistant, forget a node")
    clean.add_argument("--config", type=Path, metavar="FILE", help="TOML file; options here go before it")
    clean.add_argument("--mqtt", metavar="URL", help="mqtt://HOST[:PORT] or mqtts://... (default the file's)")
    clean.add_argument("--node", metavar="ID", help="which node (default this machine's)")
    clean.add_argument("--base", metavar="BASE", help="first level of the topics (default genrewatch)")
    clean.add_argument("--discovery-prefix", metavar="P", help="Home Assistant's (default homeassistant)")
    clean.add_argument("--dry-run", action="store_true", help="only print what would be removed")
    clean.add_argument("--force", action="store_true", help="even while the node is online")
    clean.set_defaults(handler=_clean_mqtt)


def _history_commands(commands: Any) -> None:
    history = commands.add_parser("history", help="print what was heard; `history verify` checks that it is whole")
    _of_history(history)
    _range(history)
    form = history.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the records as JSON lines")
    form.add_argument("--csv", action="store_true", help="print them as CSV")
    history.add_argument("--follow", action="store_true", help="go on with each spell that ends")
    history.set_defaults(handler=_history)
    verify = history.add_subparsers(metavar="verify").add_parser("verify", help="check that the log is whole")
    _of_history(verify, default=argparse.SUPPRESS)  # or it would forget what was said before the word `verify`
    verify.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    verify.add_argument("--file", metavar="PATH", help="check JSON lines (history --json, MQTT); - = standard input")
    verify.set_defaults(handler=_verify)

    report = commands.add_parser("report", help="airtime by genre, silence, refusals and lost sound")
    report.add_argument("--by", choices=("hour", "day", "source"), default="day", help="what a row is (default day)")
    _of_history(report)
    _range(report)
    form = report.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print exact seconds as JSON")
    form.add_argument("--csv", action="store_true", help="print exact seconds as CSV")
    form.add_argument("--png", type=Path, metavar="FILE", help="draw stacked bars")
    report.set_defaults(handler=_report)

    replay = commands.add_parser("replay", help="derive recorded verdicts again from their posteriors, and compare")
    replay.add_argument("log", nargs="?", type=Path, metavar="LOG", help="a history's file (default this box's)")
    _of_history(replay)
    replay.add_argument("--source", action="append", metavar="ID", help="one source; again for several")
    replay.add_argument("--json", action="store_true", help="print a JSON line for each source")
    replay.set_defaults(handler=_replay)


def _of_history(command: argparse.ArgumentParser, default: object = None) -> None:
    command.add_argument("--node", metavar="ID", default=default, help="whose, where the directory holds several")
    command.add_argument("--state", type=Path, metavar="DIR", default=default, help="directory that it is kept in")


def _range(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--since", metavar="TIME", help="2026-11-24, '2026-11-24 18:00', RFC 3339, or 30min, 2h, 3d ago"
    )
    command.add_argument("--until", metavar="TIME", help="likewise; a date is its midnight")
    command.add_argument("--source", action="append", metavar="ID", help="one source; again for several")


def _bundle(command: argparse.ArgumentParser) -> None:
    command.add_argument("--bundle", metavar="DIR", help="directory of the model (default the shipped one)")


def _listen(parsed: argparse.Namespace) -> int:
    from genrewatch.commands.listen import listen

    return listen(parsed)


def _clean_mqtt(parsed: argparse.Namespace) -> int:
    from genrewatch.commands.clean_mqtt import clean_mqtt

    return clean_mqtt(parsed)


def _history(parsed: argparse.Namespace) -> int:
    from genrewatch.commands.history import history

    return history(parsed)


def _verify(parsed: argparse.Namespace) -> int:
    from genrewatch.commands.verify import verify

    return verify(parsed)


def _report(parsed: argparse.Namespace) -> int:
    from genrewatch.commands.report import run_report

    return run_report(parsed)


def _replay(parsed: argparse.Namespace) -> int:
    from genrewatch.commands.replay import run_replay

    return run_replay(parsed)


def _classify(parsed: argparse.Namespace) -> int:
    from genrewatch.commands.classify import classify

    return classify(parsed)


def _devices(parsed: argparse.Namespace) -> int:
    from genrewatch.commands.devices import devices

    return devices(as_json=parsed.json)


def _doctor(parsed: argparse.Namespace) -> int:
    from genrewatch.commands.doctor import doctor

    return doctor(bundle=parsed.bundle, mqtt=parsed.mqtt, as_json=parsed.json)


def _bench(parsed: argparse.Namespace) -> int:
    if parsed.sources:
        from genrewatch.commands.bench_sources import bench_sources, parse_counts

        return bench_sources(parse_counts(parsed.sources), seconds=parsed.seconds, as_json=parsed.json)
    from genrewatch.commands.bench import bench

    return bench(bundle=parsed.bundle, as_json=parsed.json)


def _drill(parsed: argparse.Namespace) -> int:
    from genrewatch.commands.drill import run_drill

    return run_drill(parsed)
