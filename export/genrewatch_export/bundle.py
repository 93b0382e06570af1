"""A run becomes a bundle: quantized, calibrated, compared with what it was, proved, written; or refused."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch import __version__, programme
from genrewatch.audio.resample import Resampler
from genrewatch.contract.bundle import FORMAT, GOLDEN, MODEL, Bundle, Manifest, check_replaceable, write_bundle
from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEnd, FrontEndConfig
from genrewatch.contract.vote import VoteConfig, VoteOverrides
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.golden import check_golden, make_golden
from genrewatch_export.compare import (
    DYNAMIC,
    FLOAT32,
    INT8,
    NOT_CALIBRATED,
    Calibration,
    Comparison,
    Limits,
    calibrate,
    check_limits,
    compare,
)
from genrewatch_export.convert import load_model, to_dynamic, to_float, to_int8
from genrewatch_export.selective import to_selective_int8
from genrewatch_trainer.run import Run

GOLDEN_ITEM = 1  # of the demo programme
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a bundle is made."""

    name: str
    """In payloads."""
    limits: Limits = Limits()
    vote: VoteOverrides = VoteOverrides()
    """What the bundle proposes instead of the plain vote at the recipe's hop."""
    vote_reason: str | None = None
    """Why, in words."""
    float_layers: int = 0
    """Layers that are left in float32, those that quantization costs most."""
    most_bytes: int = 0
    """A layer is not left in float32 where the network would become larger than this; 0 is any size."""


def export(run: Run, calibration: Run, output: Path, options: Options, say: Say) -> Bundle:
    """Writes the bundle of `run`; DataError when int8 strays too far from float, and nothing is written."""
    same_recipe = replace(calibration.recipe, epochs=run.recipe.epochs) == run.recipe  # more clips, fewer epochs
    if not same_recipe or calibration.labels != run.labels:
        raise DataError(str(calibration.path), "another recipe or other labels", f"those of {run.path}")
    for each in (run, calibration):
        if not each.finished:
            done = f"{each.record.epochs_done} of {each.recipe.epochs} epochs done"
            raise DataError(str(each.path), done, "a finished run: genrewatch-train fit goes on with it")
    check_replaceable(output)
    vote = options.vote.apply(VoteConfig(segment_hop=run.recipe.segment_hop_frames * run.front_end.hop_length))
    say("converting to float32, dynamic range and int8")
    model = load_model(run)
    content, kept = _quantized(model, run, options, say)
    calibrated = _calibration(run, calibration, content, options, say)
    part = held_out_part(run)
    say(f"comparing the forms on {part}")
    forms = {FLOAT32: to_float(model, run), DYNAMIC: to_dynamic(model, run), INT8: content}
    comparison = compare(forms, run, part, calibrated)
    for line in [*comparison.table(), _summary(comparison, calibrated)]:
        say(line)
    check_limits(comparison, options.limits, str(run.path))
    classifier = Classifier(content, temperature=calibrated.temperature)
    manifest = Manifest(
        format=FORMAT,
        name=options.name,
        version=__version__,
        labels=run.labels,
        front_end=run.front_end,
        vote=replace(vote, sharpness=calibrated.sharpness),
        temperature=calibrated.temperature,
        input=classifier.input,
        output=classifier.output,
        files={MODEL: "", GOLDEN: ""},
        thresholds=calibrated.thresholds,
        metrics=comparison.as_metrics(),
        provenance=_provenance(run, calibration) | {"float_layers": list(kept), "vote": options.vote_reason},
    )
    golden = make_golden(golden_samples(run.front_end), FrontEnd(run.front_end), classifier)
    bundle = write_bundle(output, manifest, content, golden)
    check_golden(bundle, Classifier.of(bundle))
    return bundle


def _quantized(model: object, run: Run, options: Options, say: Say) -> tuple[bytes, tuple[str, ...]]:
    if not options.float_layers:
        return to_int8(model, run), ()
    content, kept = to_selective_int8(model, run, options.float_layers, options.most_bytes)
    say(f"in float32: layer {', '.join(kept)}")
    return content, kept


def _calibration(run: Run, calibration: Run, content: bytes, options: Options, say: Say) -> Calibration:
    """Temperature and thresholds through the quantized network, of `run` or of one with a part to measure them on."""
    part = calibration.record.validation_part
    if part is None:
        say("no validation part to calibrate on: temperature 1 (--calibration-run names a run that has one)")
        return NOT_CALIBRATED
    say(f"calibrating the int8 network on {calibration.path} {part}")
    if calibration is not run:  # with the last epoch's weights where `run` had no part to choose a better one
        model = load_model(calibration, last=run.record.validation_part is None)
        content, _ = _quantized(model, calibration, options, say)
    return calibrate(Classifier(content), calibration, part)


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


def _summary(comparison: Comparison, calibrated: Calibration) -> str:
    cost = f"clip accuracy falls by {comparison.accuracy_drop:+.4f}, posterior by {comparison.posterior_error:.4f}"
    sure = [f"{t.accuracy:.0%} right from {t.confidence} on" for t in calibrated.thresholds if t.confidence is not None]
    answer = f"temperature {calibrated.temperature:g}, sharpness {calibrated.sharpness:g}"
    return f"{cost}, {answer}, {', '.join(sure) or 'no confidence is 90 % right'}"
