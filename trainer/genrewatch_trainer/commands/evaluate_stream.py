"""`genrewatch-train evaluate-stream`: its options, and what it makes of them."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from genrewatch.contract.errors import ConfigError, DataError

if TYPE_CHECKING:
    from genrewatch_trainer.evaluation.programme import Programme


def add_evaluate_stream(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the parser."""
    it = commands.add_parser("evaluate-stream", help="what a listener would notice: delay, flicker, airtime shares")
    it.add_argument("bundle", type=Path, metavar="BUNDLE")
    what = it.add_mutually_exclusive_group(required=True)
    what.add_argument("--programme", type=Path, metavar="FILE", help="TOML or JSON that names every piece")
    what.add_argument("--audio", type=Path, metavar="DIR", help="draw a programme from DIR/GENRE/*.wav and the like")
    it.add_argument("--not-music", type=Path, metavar="DIR", help="speech and noise to put in between")
    it.add_argument("--splits", type=Path, metavar="TSV", help="draw only clips that this table puts into --part")
    it.add_argument("--part", metavar="SCHEME:PART", help="such as fault_filtered:valid")
    it.add_argument("--seed", type=int, default=0, help="of the draw; default: 0")
    it.add_argument("--pieces", type=int, metavar="N", help="default: 40")
    it.add_argument("--clips-per-piece", type=int, metavar="N", help="of one genre, one after another; default: 3")
    it.add_argument("--fade", type=float, metavar="SECONDS", help="cross-fade between pieces; default: 0.5")
    it.add_argument("--vote", metavar="KEY=VALUE,...", help="instead of the bundle's: segments=9,exit_segments=4")
    it.add_argument("--grid", nargs="*", metavar="KEY=VALUE,VALUE", help="try every combination; alone: a wide choice")
    it.add_argument("--json", action="store_true", help="print JSON lines")
    it.add_argument("-o", "--output", type=Path, metavar="DIR", help="write figures, timeline and programme there")
    it.set_defaults(command=_evaluate_stream)


def _evaluate_stream(arguments: argparse.Namespace) -> None:
    from genrewatch.contract.bundle import load_bundle
    from genrewatch.contract.vote import VoteOverrides
    from genrewatch_trainer.evaluation import stream, stream_report
    from genrewatch_trainer.evaluation.programme import broadcast
    from genrewatch_trainer.evaluation.vote_values import parse_values, parse_vote

    values = parse_values(arguments.grid, "--grid") if arguments.grid is not None else None
    vote = parse_vote(arguments.vote, "--vote") if arguments.vote else VoteOverrides()
    manifest = load_bundle(arguments.bundle).manifest
    programme = _programme(arguments, manifest.genres)
    folder = arguments.programme.parent if arguments.programme else Path()
    played = broadcast(programme, folder, manifest.front_end.sample_rate)
    found = stream.evaluate_stream(arguments.bundle, played, vote.apply)
    if arguments.json:
        print(json.dumps(found.as_json(), allow_nan=False))
    else:
        stream_report.print_stream(found)
    if arguments.output:
        stream_report.write_stream(found, programme, played.stretches, arguments.output)
    if values is None:
        return
    trials = stream.grid(arguments.bundle, played, vote.apply, values or stream.default_grid(manifest))
    if arguments.json:
        for row in stream.trial_rows(trials):
            print(json.dumps(row, allow_nan=False))
    else:
        stream_report.print_grid(trials)
    if arguments.output:
        stream_report.write_grid(trials, arguments.output)


def _programme(arguments: argparse.Namespace, genres: tuple[str, ...]) -> "Programme":
    """The programme that is named, or one that is drawn of genres that the bundle knows."""
    import numpy as np

    from genrewatch_trainer.evaluation.programme import Draw, draw_programme, genre_files, load_programme, sound_files

    if arguments.programme:
        return load_programme(arguments.programme)
    given = {"pieces": arguments.pieces, "clips_per_piece": arguments.clips_per_piece, "fade_s": arguments.fade}
    how = Draw(**{key: value for key, value in given.items() if value is not None})
    files = {genre: paths for genre, paths in genre_files(arguments.audio).items() if genre in genres}
    if allowed := _part(arguments):
        files = {genre: [path for path in paths if path.stem in allowed] for genre, paths in files.items()}
    files = {genre: paths for genre, paths in files.items() if paths}
    if not files:
        raise DataError(str(arguments.audio), "no clip of a genre that the bundle knows", "one of " + " ".join(genres))
    not_music = sound_files(arguments.not_music) if arguments.not_music else []
    if arguments.not_music and not not_music:
        raise DataError(str(arguments.not_music), "holds no sound files", "speech or noise")
    return draw_programme(files, not_music, how, np.random.default_rng(arguments.seed))


def _part(arguments: argparse.Namespace) -> set[str] | None:
    """The names that may be drawn; None = all."""
    from genrewatch_trainer.data.splits import read_splits
    from genrewatch_trainer.evaluation.evaluate import parse_split

    if (arguments.splits is None) != (arguments.part is None):
        raise ConfigError("--splits, --part", "one without the other", "both, or neither")
    if arguments.splits is None:
        return None
    scheme, part = parse_split(arguments.part)
    schemes = read_splits(arguments.splits).schemes
    if part not in schemes.get(scheme, {}).values():
        raise ConfigError("--part", f"found {arguments.part}", "of the schemes " + ", ".join(schemes))
    return {name for name, found in schemes[scheme].items() if found == part}
