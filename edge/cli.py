"""The command line of the device: `genrewatch listen | classify | devices | doctor | bench | drill`.

A mistake of the user's gets one line on standard error and exit code 2.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from edge import __version__
from edge.contract.errors import GenrewatchError

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
    except GenrewatchError as wrong:
        print(f"genrewatch: {wrong}", file=sys.stderr)
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

    drill = commands.add_parser("drill", help="play every fault that a source can have, and check what is said of it")
    drill.add_argument("--short", action="store_true", help="short stall times: under a minute")
    drill.add_argument("--only", action="append", metavar="ROW", help="one row of the table; again for several")
    drill.add_argument("--json", action="store_true", help="print a JSON line for each row")
    drill.add_argument("--markdown", type=Path, metavar="FILE", help="write the table to a file as well")
    drill.add_argument("--soak", type=float, metavar="HOURS", help="hours of sound at full speed, with faults, instead")
    drill.set_defaults(handler=_drill)
    return top


def _bundle(command: argparse.ArgumentParser) -> None:
    command.add_argument("--bundle", metavar="DIR", help="directory of the model (default the shipped one)")


def _listen(parsed: argparse.Namespace) -> int:
    from edge.commands.listen import listen

    return listen(parsed)


def _classify(parsed: argparse.Namespace) -> int:
    from edge.commands.classify import classify

    return classify(parsed)


def _devices(parsed: argparse.Namespace) -> int:
    from edge.commands.devices import devices

    return devices(as_json=parsed.json)


def _doctor(parsed: argparse.Namespace) -> int:
    from edge.commands.doctor import doctor

    return doctor(bundle=parsed.bundle, mqtt=parsed.mqtt, as_json=parsed.json)


def _bench(parsed: argparse.Namespace) -> int:
    if parsed.sources:
        from edge.commands.bench_sources import bench_sources, parse_counts

        return bench_sources(parse_counts(parsed.sources), seconds=parsed.seconds, as_json=parsed.json)
    from edge.commands.bench import bench

    return bench(bundle=parsed.bundle, as_json=parsed.json)


def _drill(parsed: argparse.Namespace) -> int:
    from edge.commands.drill import run_drill

    return run_drill(parsed)
