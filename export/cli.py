"""`genrewatch-export RUN -o BUNDLE`: everything between a trained network and a directory that a device trusts."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge import __version__, programme
from edge.classifier import Classifier
from edge.contract.bundle import FORMAT, GOLDEN, MODEL, Bundle, Manifest, check_replaceable, write_bundle
from edge.contract.errors import DataError, GenrewatchError, not_installed
from edge.contract.front_end import FrontEnd, FrontEndConfig
from edge.contract.vote import VoteConfig
from edge.golden import check_golden, make_golden
from edge.resample import Resampler
from export.convert import load_model, to_float, to_int8
from export.verify import Comparison, Limits, calibrate, check_limits, compare
from trainer.run import Run

GOLDEN_ITEM = 1  # of the demo programme
Say = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parsed = parser().parse_args(arguments)
    try:
        limits = Limits(accuracy_drop=parsed.max_accuracy_drop, posterior_error=parsed.max_posterior_error)
        run = Run.load(parsed.run)
        calibration = Run.load(parsed.calibration_run) if parsed.calibration_run else run
        bundle = export(run, calibration, parsed.output, name=parsed.name, limits=limits, say=_say)
    except GenrewatchError as wrong:
        print(f"genrewatch-export: {wrong}", file=sys.stderr)
        return 2
    except OSError as wrong:
        print(f"genrewatch-export: {wrong.filename or 'disk'}: {wrong.strerror or wrong}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as missing:
        print(f"genrewatch-export: {not_installed(missing, 'train')}", file=sys.stderr)
        return 2
    size = sum(path.stat().st_size for path in bundle.path.iterdir())
    _say(f"{bundle.path}: {bundle.manifest.name} {bundle.manifest.version}, {size / 1000:.0f} kB in all")
    return 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    top = argparse.ArgumentParser(prog="genrewatch-export", description="Turns a run into a bundle for the device.")
    top.add_argument("run", type=Path, metavar="RUN", help="run directory of genrewatch-train fit")
    top.add_argument("-o", "--output", type=Path, required=True, metavar="BUNDLE", help="directory to write")
    top.add_argument("--name", help="name in payloads (default the bundle directory's)")
    top.add_argument(
        "--calibration-run",
        type=Path,
        metavar="RUN",
        help="run of the same recipe with a validation part, for the temperature of a run that has none left",
    )
    top.add_argument("--max-accuracy-drop", type=float, default=Limits.accuracy_drop, metavar="FRACTION")
    top.add_argument("--max-posterior-error", type=float, default=Limits.posterior_error, metavar="FRACTION")
    return top


def export(run: Run, calibration: Run, output: Path, *, name: str | None, limits: Limits, say: Say) -> Bundle:
    """Writes the bundle of `run`; DataError when int8 strays too far from float, and nothing is written."""
    same_recipe = replace(calibration.recipe, epochs=run.recipe.epochs) == run.recipe  # more clips, fewer epochs
    if not same_recipe or calibration.labels != run.labels:
        raise DataError(str(calibration.path), "another recipe or other labels", f"those of {run.path}")
    for each in (run, calibration):
        if not each.finished:
            done = f"{each.record.epochs_done} of {each.recipe.epochs} epochs done"
            raise DataError(str(each.path), done, "a finished run: genrewatch-train fit goes on with it")
    check_replaceable(output)
    say("converting to float32 and int8")
    model = load_model(run)
    float_model, content = Classifier(to_float(model, run)), to_int8(model, run)
    int8_model = Classifier(content)
    temperature = _temperature(run, calibration, int8_model, say)
    part = held_out_part(run)
    say(f"comparing float32 and int8 on {part}")
    comparison = compare(float_model, int8_model, run, part, temperature)
    say(_summary(comparison, temperature))
    check_limits(comparison, limits, str(run.path))
    return _write(run, calibration, output, name or output.name, content, temperature, comparison)


def _temperature(run: Run, calibration: Run, int8_model: Classifier, say: Say) -> float:
    part = calibration.record.validation_part
    if part is None:
        say("no validation part to calibrate on: temperature 1 (--calibration-run names a run that has one)")
        return 1.0
    say(f"calibrating the int8 network on {calibration.path} {part}")
    return calibrate(int8_model if calibration is run else _like(run, calibration), calibration, part)


def _like(run: Run, calibration: Run) -> Classifier:
    """The int8 network of another run, with the last epoch's weights where `run` had no part to choose a better one."""
    model = load_model(calibration, last=run.record.validation_part is None)
    return Classifier(to_int8(model, calibration))


def held_out_part(run: Run) -> str:
    """The part that the bundle's figures are measured on: the validation part, so that a test part is not read while
    choices are made, or the test part of a final run, which was trained on everything else."""
    held_out = sorted(set(run.split.values()) - set(run.record.train_parts))
    return run.record.validation_part or ("test" if "test" in held_out else held_out[0])


def golden_samples(config: FrontEndConfig) -> NDArray[np.int16]:
    """(segment_samples,) of the demo programme, at the front end's rate, in 8 bit steps to be small."""
    made = programme.item(programme.PROGRAMME[GOLDEN_ITEM].name, 0)
    samples = Resampler(programme.SAMPLE_RATE, config.sample_rate).push(made, last=True)
    start = (len(samples) - config.segment_samples) // 2
    stretch = samples[start : start + config.segment_samples]
    return (np.clip(np.rint(stretch * 127), -128, 127) * 256).astype(np.int16)


def _write(
    run: Run, calibration: Run, output: Path, name: str, content: bytes, temperature: float, comparison: Comparison
) -> Bundle:
    classifier = Classifier(content, temperature=temperature)
    manifest = Manifest(
        format=FORMAT,
        name=name,
        version=__version__,
        labels=run.labels,
        front_end=run.front_end,
        vote=VoteConfig(segment_hop=run.recipe.segment_hop_frames * run.front_end.hop_length),
        temperature=temperature,
        input=classifier.input,
        output=classifier.output,
        files={MODEL: "", GOLDEN: ""},
        metrics=asdict(comparison),
        provenance=_provenance(run, calibration),
    )
    golden = make_golden(golden_samples(run.front_end), FrontEnd(run.front_end), classifier)
    bundle = write_bundle(output, manifest, content, golden)
    check_golden(bundle, Classifier.of(bundle))
    return bundle


def _provenance(run: Run, calibration: Run) -> dict[str, object]:
    record = run.record
    calibrated = calibration.record
    calibrated_on = f"{calibrated.split_scheme}:{calibrated.validation_part}, by {'+'.join(calibrated.train_parts)}"
    return {
        "recipe": record.recipe.name,
        "store": record.store_provenance,
        "store_sha256": record.store_sha256,
        "split": record.split_scheme,
        "train_parts": list(record.train_parts),
        "clips": run.trained_on(run.split),
        "calibrated_on": calibrated_on if calibrated.validation_part else None,
        "seed": record.seed,
        "weights_of_epoch": run.weights_epoch,
        "epochs": record.epochs_done,
        "versions": record.versions,
    }


def _summary(comparison: Comparison, temperature: float) -> str:
    float32, int8 = comparison.float32, comparison.int8
    return (
        f"clip accuracy by mean posterior {float32['clip_accuracy_mean']:.3f} float32, "
        f"{int8['clip_accuracy_mean']:.3f} int8; segment accuracy falls by {comparison.accuracy_drop:+.4f}, "
        f"posterior differs by {comparison.posterior_error:.4f}, temperature {temperature:g}"
    )


def _say(text: str) -> None:
    print(f"genrewatch-export: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
