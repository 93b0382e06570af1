"""`genrewatch-train evaluate-stream`: a bundle on a programme of known content."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from genrewatch.contract.errors import DataError
from genrewatch_trainer.commands.labelled_files import add_part, labelled_files
from genrewatch_trainer.commands.options import Subparsers, add_seed

if TYPE_CHECKING:
    from genrewatch_trainer.evaluation.programme import Programme
    from genrewatch_trainer.evaluation.stream import StreamEvaluation, Trial


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "evaluate-stream", help="measure delay, false changes and airtime shares on a spliced programme"
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle directory")
    _add_programme(parser)
    parser.add_argument(
        "--vote", metavar="KEY=VALUE,...", help="instead of the bundle's: segments=3,filter=hmm,segment_weight=0.5"
    )
    parser.add_argument(
        "--grid",
        nargs="*",
        metavar="KEY=VALUE,VALUE",
        help="try every combination; without values: a wide choice for the vote's filter",
    )
    parser.add_argument(
        "--lag",
        type=float,
        nargs="+",
        metavar="SECONDS",
        help="also what the history keeps with `[history] lag_s`, for each of these lags; 0 is what was published",
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="write figures, timeline and programme there")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Play the programme to the bundle, then try the votes of the grid, and print and write what was found."""
    from genrewatch.contract.bundle import load_bundle
    from genrewatch.contract.vote import VoteOverrides
    from genrewatch_trainer.evaluation import stream, stream_report
    from genrewatch_trainer.evaluation.programme import render_programme
    from genrewatch_trainer.evaluation.vote_values import parse_values, parse_vote

    values = parse_values(parsed.grid, "--grid") if parsed.grid is not None else None
    vote = parse_vote(parsed.vote, "--vote") if parsed.vote else VoteOverrides()
    manifest = load_bundle(parsed.bundle).manifest
    programme = _programme(parsed, manifest.genres)
    folder = parsed.programme.parent if parsed.programme else Path()
    rendered = render_programme(programme, folder, manifest.front_end.sample_rate)
    evaluation = stream.evaluate_stream(parsed.bundle, rendered, vote.apply, parsed.lag or ())
    _print_evaluation(evaluation, as_json=parsed.json)
    if parsed.output:
        stream_report.write_stream(evaluation, programme, rendered.piece_spans, parsed.output)
    if values is not None:
        trials = stream.grid(
            parsed.bundle, rendered, vote.apply, values or stream.default_grid(manifest, evaluation.vote)
        )
        _print_trials(trials, as_json=parsed.json)
        if parsed.output:
            stream_report.write_grid(trials, parsed.output)
    return 0


def _add_programme(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--programme", type=Path, metavar="FILE", help="TOML or JSON that names every piece")
    what.add_argument("--audio", type=Path, metavar="DIR", help="a random programme from DIR/GENRE/*.wav and the like")
    parser.add_argument("--not-music", type=Path, metavar="DIR", help="speech and noise to put in between")
    add_part(parser)
    add_seed(parser, "the random programme")
    parser.add_argument("--pieces", type=int, metavar="N", help="default: 40")
    parser.add_argument("--clips-per-piece", type=int, metavar="N", help="clips of one genre in a row; default: 3")
    parser.add_argument("--fade", type=float, metavar="SECONDS", help="cross-fade between pieces; default: 0.5")


def _print_evaluation(evaluation: "StreamEvaluation", *, as_json: bool) -> None:
    from genrewatch_trainer.evaluation.stream_report import print_stream

    if as_json:
        print(json.dumps(evaluation.as_json(), allow_nan=False))
    else:
        print_stream(evaluation)


def _print_trials(trials: "list[Trial]", *, as_json: bool) -> None:
    from genrewatch_trainer.evaluation.stream import trial_rows
    from genrewatch_trainer.evaluation.stream_report import print_grid

    if as_json:
        for row in trial_rows(trials):
            print(json.dumps(row, allow_nan=False))
    else:
        print_grid(trials)


def _programme(parsed: argparse.Namespace, genres: tuple[str, ...]) -> "Programme":
    """Return the named programme, or a random one of genres that the bundle knows."""
    import numpy as np

    from genrewatch_trainer.evaluation.programme import ProgrammeOptions, load_programme, random_programme, sound_files

    if parsed.programme:
        return load_programme(parsed.programme)
    given = {"pieces": parsed.pieces, "clips_per_piece": parsed.clips_per_piece, "fade_s": parsed.fade}
    options = ProgrammeOptions(**{key: value for key, value in given.items() if value is not None})
    files = labelled_files(parsed, genres)
    not_music = sound_files(parsed.not_music) if parsed.not_music else []
    if parsed.not_music and not not_music:
        raise DataError(str(parsed.not_music), "holds no sound files", "speech or noise")
    return random_programme(files, not_music, options, np.random.default_rng(parsed.seed))
