"""The command line of the trainer: `genrewatch-train`. What is heavy is imported by the command that needs it."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from genrewatch.contract.errors import DataError, GenrewatchError, not_installed, os_error_reason
from genrewatch.contract.front_end import COMPACT, PAPER
from genrewatch_trainer.commands.evaluate_stream import add_evaluate_stream
from genrewatch_trainer.commands.readout import add_also, add_readout
from genrewatch_trainer.commands.teach import add_not_music, add_teach
from genrewatch_trainer.reproduce.command import add_reproduce
from genrewatch_trainer.training.recipes import RECIPES

if TYPE_CHECKING:
    from genrewatch_trainer.data.store import Store
    from genrewatch_trainer.distillation.targets import Targets

FRONT_ENDS = {"paper": PAPER, "compact": COMPACT}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; 0 when it is done, 2 with one line on stderr when what was handed in cannot work."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.command(arguments)
    except GenrewatchError as exc:
        print(f"genrewatch-train: {exc}", file=sys.stderr)
        return 2
    except OSError as exc:
        print(f"genrewatch-train: {exc.filename or 'disk'}: {os_error_reason(exc)}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as exc:
        print(f"genrewatch-train: {not_installed(exc, 'train')}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="genrewatch-train", description="From labelled clips to a trained network.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_prepare(commands)
    _add_import(commands)
    _add_fit(commands)
    add_readout(commands)
    _add_benchmark_feed(commands)
    _add_evaluate(commands)
    add_evaluate_stream(commands)
    _add_classify(commands)
    add_reproduce(commands)
    add_teach(commands)
    add_not_music(commands)
    _add_sweep(commands)
    return parser


def _add_prepare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    it = commands.add_parser("prepare", help="sound files, a folder per genre, to a feature store")
    it.add_argument("audio", type=Path, metavar="AUDIO_DIR", help="holds GENRE/*.wav (.au .mp3 .flac .ogg)")
    it.add_argument("-o", "--store", type=Path, required=True, help="folder to write, must not exist")
    it.add_argument("--front-end", choices=FRONT_ENDS, default="paper", help="default: paper")
    it.add_argument("--splits", type=Path, metavar="TSV", help="table with name, label and a column per scheme")
    it.add_argument("--jobs", type=_jobs, default=-1, metavar="N", help="processes; default: one a core")
    it.add_argument("--cluster", metavar="tcp://HOST:PORT", help="run on the workers of this Dask scheduler instead")
    it.set_defaults(command=_prepare)


def _add_import(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    it = commands.add_parser("import-logmel", help="a log-mel made elsewhere to a feature store")
    it.add_argument("npz", type=Path, metavar="NPZ", help="arrays codes, name, label, scale_db, clip_max_db")
    it.add_argument("--splits", type=Path, metavar="TSV", help="table with name, label and a column per scheme")
    it.add_argument("-o", "--store", type=Path, required=True, help="folder to write, must not exist")
    it.set_defaults(command=_import)


def _add_fit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    it = commands.add_parser("fit", help="train a network; run again after a kill, it goes on")
    it.add_argument("store", type=Path, metavar="STORE")
    it.add_argument("--recipe", default="compact", help=f"{', '.join(RECIPES)}; default: compact")
    _add_more(it)
    it.add_argument("--start-from", type=Path, metavar="RUN", help="begin with the weights of another run")
    it.add_argument("--split", default="random_60_10_30", metavar="SCHEME", help="default: random_60_10_30")
    it.add_argument("--train-parts", default="train", metavar="PART,PART", help="default: train")
    it.add_argument("--epochs", type=int, help="default: the recipe's, 100")
    it.add_argument("--batch", type=int, help="segments a step; default: the recipe's, 32")
    it.add_argument("--seed", type=_seed, default=0, help="of weights, crops and a random split; default: 0")
    it.add_argument("-o", "--run", type=Path, required=True, help="run folder")
    it.add_argument("--precision", choices=("float32", "mixed"), default="float32", help="mixed: bfloat16 products")
    it.add_argument("--devices", choices=("one", "all"), default="one", help="all: a batch is spread over all of them")
    it.set_defaults(command=_fit)


def _add_more(it: argparse.ArgumentParser) -> None:
    it.add_argument(
        "--targets", type=Path, action="append", default=[], metavar="TARGETS", help="of `teach`; may be repeated"
    )
    add_also(it)


def _add_sweep(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    it = commands.add_parser("sweep", help="train a list of configurations, and the table of them; it goes on too")
    it.add_argument("spec", type=Path, metavar="SPEC.toml", help="see trainer/genrewatch_trainer/training/sweep.py")
    it.add_argument("store", type=Path, metavar="STORE")
    _add_more(it)
    it.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="runs and table")
    it.set_defaults(command=_sweep)


def _add_benchmark_feed(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    it = commands.add_parser("benchmark-feed", help="how fast batches come, without a network")
    it.add_argument("store", type=Path, metavar="STORE")
    it.add_argument("--recipe", default="compact", help="default: compact")
    it.add_argument("--batch", type=int, help="segments a batch; default: the recipe's, 32")
    it.add_argument("--batches", type=_positive, default=200, metavar="N", help="default: 200")
    it.add_argument("--json", action="store_true", help="print one JSON object")
    it.set_defaults(command=_benchmark_feed)


def _add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    it = commands.add_parser("evaluate", help="how good a run or a bundle is")
    it.add_argument("model", type=Path, metavar="RUN_OR_BUNDLE")
    it.add_argument("--store", type=Path, help="clips to judge; default: those that the run held out")
    it.add_argument("--split", metavar="SCHEME:PART", help="default: the run's own scheme, part test")
    it.add_argument("--json", action="store_true", help="print one JSON object")
    it.add_argument("-o", "--output", type=Path, metavar="DIR", help="write confusion matrix and report there")
    it.set_defaults(command=_evaluate)


def _add_classify(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    it = commands.add_parser("classify", help="genrewatch classify, on the workers of a Dask cluster")
    it.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="sound files and folders of them")
    it.add_argument("--cluster", required=True, metavar="tcp://HOST:PORT", help="Dask scheduler")
    it.add_argument("--bundle", metavar="DIR", help="directory of the model (default the shipped one)")
    it.add_argument("--json", action="store_true", help="print JSON lines")
    it.add_argument("--timeline", action="store_true", help="add a line for each segment, the rolling verdict")
    it.set_defaults(command=_classify)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"found {text}, expected 0 to {2**32 - 1}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"found {text}, expected 1 or more")
    return int(text)


def _jobs(text: str) -> int:
    if not text.removeprefix("-").isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number of processes, or -1 for one a core")
    return int(text)


def _prepare(arguments: argparse.Namespace) -> None:
    from genrewatch_trainer.data.prepare import prepare

    done = prepare(
        arguments.audio,
        arguments.store,
        FRONT_ENDS[arguments.front_end],
        splits=arguments.splits,
        jobs=arguments.jobs,
        cluster=arguments.cluster,
    )
    for item in done.skipped:
        print(f"skipped: {item.error}", file=sys.stderr)
    for name, earlier in done.duplicates:
        print(f"duplicate: {name} is sample for sample {earlier}", file=sys.stderr)
    print(
        f"{arguments.store}: {done.n_clips} clips, {len(done.skipped)} skipped, {len(done.duplicates)} duplicates, "
        f"log-mel within {done.difference_db:.1e} dB of librosa's"
    )


def _classify(arguments: argparse.Namespace) -> None:
    from genrewatch.commands.classify import find_files, print_all
    from genrewatch.daemon.config import ListenConfig
    from genrewatch_trainer.evaluation.classify import classify_on

    bundle = str(Path(arguments.bundle).absolute()) if arguments.bundle else None
    found = classify_on(arguments.cluster, find_files(arguments.paths), ListenConfig(bundle=bundle))
    if print_all(found, as_json=arguments.json, timeline=arguments.timeline):
        sys.exit(1)


def _import(arguments: argparse.Namespace) -> None:
    from genrewatch_trainer.data.logmel_import import import_logmel

    store, duplicates = import_logmel(arguments.npz, arguments.splits, arguments.store)
    for name, earlier in duplicates:
        print(f"duplicate: {name} is cell for cell {earlier}", file=sys.stderr)
    print(f"{arguments.store}: {len(store)} clips, splits {', '.join(store.index.splits) or 'none'}")


def _more(arguments: argparse.Namespace) -> "tuple[tuple[tuple[Store, float], ...], tuple[Targets, ...]]":
    from genrewatch_trainer.data.store import Store
    from genrewatch_trainer.distillation.targets import Targets

    also = tuple((Store.load(path), share) for path, share in arguments.also)
    return also, tuple(Targets.load(path) for path in arguments.targets)


def _sweep(arguments: argparse.Namespace) -> None:
    from genrewatch_trainer.data.store import Store
    from genrewatch_trainer.training.sweep import load_spec, sweep

    spec, store = load_spec(arguments.spec), Store.load(arguments.store)
    extra, targets = _more(arguments)
    rows = sweep(spec, store, arguments.output, extra=extra, targets=targets)
    print(f"{arguments.output / 'table.md'}: {len(rows)} configurations")


def _fit(arguments: argparse.Namespace) -> None:
    from genrewatch_trainer.data.store import Store
    from genrewatch_trainer.run import Run
    from genrewatch_trainer.training.experiment import Experiment
    from genrewatch_trainer.training.recipes import recipe_named

    recipe = recipe_named(arguments.recipe)
    changes = {key: getattr(arguments, key) for key in ("epochs", "batch") if getattr(arguments, key) is not None}
    recipe, store = replace(recipe, **changes), Store.load(arguments.store)
    extra, targets = _more(arguments)
    experiment = Experiment(
        store=store,
        recipe=recipe,
        scheme=arguments.split,
        train_parts=tuple(arguments.train_parts.split(",")),
        seed=arguments.seed,
        extra_stores=extra,
        targets=targets,
        start=Run.load(arguments.start_from) if arguments.start_from else None,
    )
    from genrewatch_trainer.training.fit import fit  # loads Keras, so after everything that can be wrong at once
    from genrewatch_trainer.training.hardware import hardware

    with hardware(precision=arguments.precision, every_device=arguments.devices == "all"):
        run = fit(experiment, arguments.run)
    print(f"{run.path}: {run.record.epochs_done} epochs, {json.dumps(run.record.metrics)}")


def _benchmark_feed(arguments: argparse.Namespace) -> None:
    from genrewatch_trainer.data.store import Store
    from genrewatch_trainer.training.benchmark import feed_speed
    from genrewatch_trainer.training.recipes import recipe_named

    recipe, store = recipe_named(arguments.recipe), Store.load(arguments.store)
    if store.index.front_end != recipe.front_end:
        raise DataError(f"{store.path}: front_end", f"is not that of recipe {recipe.name}", f"{recipe.front_end}")
    if arguments.batch is not None:
        recipe = replace(recipe, batch=arguments.batch)
    found = feed_speed(store, recipe, batches=arguments.batches)
    if arguments.json:
        print(json.dumps(asdict(found)))
    else:
        print(
            f"{found.batches_per_s:.1f} batches/s, {found.segments_per_s:.0f} segments/s, {found.mb_per_s:.0f} MB/s, "
            f"{found.batch_ms:.1f} ms a batch: a training step that takes longer never waits"
        )


def _evaluate(arguments: argparse.Namespace) -> None:
    from genrewatch_trainer.evaluation.evaluate import evaluate, parse_split
    from genrewatch_trainer.evaluation.report import print_report, write_report

    split = parse_split(arguments.split) if arguments.split else None
    evaluation = evaluate(arguments.model, store=arguments.store, split=split)
    if arguments.output:
        write_report(evaluation, arguments.output)
    if arguments.json:
        print(json.dumps(evaluation.as_json(), allow_nan=False))
    else:
        print_report(evaluation)
