"""A bundle made of a run: quantized, calibrated, compared with the float network, verified, written or refused."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch import __version__, programme
from genrewatch.audio.pre_filter import CURRENT
from genrewatch.audio.resample import Resampler
from genrewatch.contract.bundle import FORMAT, GOLDEN, MODEL, Bundle, Manifest
from genrewatch.contract.bundle_writer import check_replaceable, write_bundle
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
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Choices in making a bundle."""

    name: str
    """Name in payloads."""
    limits: Limits = Limits()
    vote: VoteOverrides = VoteOverrides()
    """Vote defaults of the bundle that differ from the plain vote at the recipe's hop."""
    vote_reason: str | None = None
    """Reason for them, in words."""
    float_layers: int = 0
    """Number of layers left in float32: those whose quantization costs most."""
    most_bytes: int = 0
    """Largest network in bytes: a layer that would exceed it in float32 is quantized; 0 is no limit."""


def export(run: Run, calibration: Run, output: Path, options: Options, report: Report) -> Bundle:
    """Write the bundle of `run`, its temperature and thresholds measured with run `calibration`.

    `report` receives a line of text at each step. Raises DataError where int8 differs too much from float; then
    nothing is written.
    """
    _require_runs(run, calibration)
    check_replaceable(output)
    vote = _vote(run, options)  # an impossible vote is an error before the long conversion
    report("converting to float32, dynamic range and int8")
    model = load_model(run)
    content, float_layers = _quantized(model, run, options, report)
    calibrated = _calibration(run, calibration, content, options, report)
    comparison = _comparison(model, content, run, calibrated, vote, report)
    check_limits(comparison, options.limits, str(run.path))
    classifier = Classifier(content, temperature=calibrated.temperature)
    provenance = _provenance(run, calibration) | {"float_layers": list(float_layers), "vote": options.vote_reason}
    manifest = _manifest(run, options, calibrated, comparison, classifier, provenance)
    golden = make_golden(golden_samples(run.front_end), FrontEnd(run.front_end), classifier)
    bundle = write_bundle(output, manifest, content, golden)
    check_golden(bundle, Classifier.of(bundle))
    return bundle


def _manifest(
    run: Run,
    options: Options,
    calibrated: Calibration,
    comparison: Comparison,
    classifier: Classifier,
    provenance: dict[str, object],
) -> Manifest:
    return Manifest(
        format=FORMAT,
        name=options.name,
        version=__version__,
        labels=run.labels,
        front_end=run.front_end,
        vote=calibrated.apply(_vote(run, options)),
        temperature=calibrated.temperature,
        pre_filter=CURRENT,
        input=classifier.input,
        output=classifier.output,
        files={MODEL: "", GOLDEN: ""},
        thresholds=calibrated.thresholds,
        metrics=comparison.as_metrics(),
        provenance=provenance,
    )


def _vote(run: Run, options: Options) -> VoteConfig:
    """Return the vote defaults of the bundle; raises ConfigError for an impossible one."""
    return options.vote.apply(VoteConfig(segment_hop=run.recipe.segment_hop_frames * run.front_end.hop_length))


def _require_runs(run: Run, calibration: Run) -> None:
    """Raise DataError unless both runs are finished and of the same network and labels."""
    same_recipe = replace(calibration.recipe, epochs=run.recipe.epochs) == run.recipe  # more clips, fewer epochs
    if not same_recipe or calibration.labels != run.labels:
        raise DataError(str(calibration.path), "another recipe or other labels", f"those of {run.path}")
    for each in (run, calibration):
        if not each.finished:
            done = f"{each.record.epochs_done} of {each.recipe.epochs} epochs done"
            raise DataError(str(each.path), done, "a finished run: run genrewatch-train fit again to resume it")


def _comparison(
    model: object, content: bytes, run: Run, calibrated: Calibration, vote: VoteConfig, report: Report
) -> Comparison:
    """Compare the float32, dynamic and int8 forms on held-out clips, and report the table."""
    part = held_out_part(run)
    report(f"comparing the forms on {part}")
    forms = {FLOAT32: to_float(model, run), DYNAMIC: to_dynamic(model, run), INT8: content}
    comparison = compare(forms, run, part, calibrated, vote)
    for line in [*comparison.table(), _summary(comparison, calibrated)]:
        report(line)
    return comparison


def _quantized(model: object, run: Run, options: Options, report: Report) -> tuple[bytes, tuple[str, ...]]:
    if not options.float_layers:
        return to_int8(model, run), ()
    content, kept = to_selective_int8(model, run, options.float_layers, options.most_bytes)
    report(f"in float32: layer {', '.join(kept)}")
    return content, kept


def _calibration(run: Run, calibration: Run, content: bytes, options: Options, report: Report) -> Calibration:
    """Calibrate the quantized network of `run`, or of `calibration` where `run` has no validation part."""
    part = calibration.record.validation_part
    if part is None:
        report("no validation part to calibrate on: temperature 1 (--calibration-run names a run that has one)")
        return NOT_CALIBRATED
    report(f"calibrating the int8 network on {calibration.path} {part}")
    if calibration is not run:  # with the last epoch's weights where `run` had no part to choose a better one
        model = load_model(calibration, last=run.record.validation_part is None)
        content, _ = _quantized(model, calibration, options, report)
    return calibrate(Classifier(content), calibration, part, _vote(run, options))


def held_out_part(run: Run) -> str:
    """Return the part to measure the bundle's metrics on.

    It is the validation part, because a test part must not guide choices, or else the test part of a final run, which
    was trained on everything else.
    """
    held_out = sorted(set(run.split.values()) - set(run.record.train_parts))
    return run.record.validation_part or ("test" if "test" in held_out else held_out[0])


def golden_samples(config: FrontEndConfig) -> NDArray[np.int16]:
    """Return (segment_samples,) of the demo programme at the front end's rate, in 8-bit steps to compress well."""
    made = programme.item(programme.PROGRAMME[GOLDEN_ITEM].name, 0)
    samples = Resampler(programme.SAMPLE_RATE, config.sample_rate).push(made, last=True)
    start = (len(samples) - config.segment_samples) // 2
    segment = samples[start : start + config.segment_samples]
    return (np.clip(np.rint(segment * 127), -128, 127) * 256).astype(np.int16)


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
    calibration = f"temperature {calibrated.temperature:g}, sharpness {calibrated.sharpness:g}"
    return f"{cost}, {calibration}, {', '.join(sure) or 'no confidence is 90 % right'}"
