"""A run becomes a bundle: int8 compared with float through the device's classifier, calibrated, or not written."""

import json
import shutil

import numpy as np
import pytest
from tests.export.conftest import LABELS, RECIPE, clip
from tests.lab import TINY, experiment

from genrewatch.cli import main as genrewatch
from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.front_end import FrontEnd
from genrewatch.inference.classifier import Classifier, softmax
from genrewatch.inference.golden import check_golden
from genrewatch_export.cli import main
from genrewatch_export.compare import clip_logits, fit_temperature
from genrewatch_export.convert import load_model
from genrewatch_trainer.data.store import Store, new_store
from genrewatch_trainer.evaluation.evaluate import evaluate
from genrewatch_trainer.run import Run


def test_the_bundle_is_int8_in_and_out_and_passes_its_own_golden_check(bundle, capsys):
    loaded = load_bundle(bundle)
    assert (loaded.manifest.input.dtype, loaded.manifest.output.dtype) == ("int8", "int8")
    assert loaded.manifest.name == "tiny-bundle"
    report = check_golden(loaded, Classifier.of(loaded))
    assert (report.log_mel, report.posterior) == (0, 0)
    assert genrewatch(["doctor", "--bundle", str(bundle), "--json"]) == 0
    checks = {check["name"]: check for check in map(json.loads, capsys.readouterr().out.splitlines())}
    assert checks["bundle"]["result"] == "ok"


def test_the_manifest_has_the_cost_of_quantization_on_held_out_clips(bundle, run):
    metrics = load_bundle(bundle).manifest.metrics
    assert metrics["part"] == "valid"
    assert metrics["int8"]["n_clips"] == 8
    assert metrics["int8"]["clip_accuracy_mean"] == 1.0
    assert 0 < metrics["posterior_error"] < 0.05


def test_the_manifest_holds_the_table_of_forms(bundle):
    metrics = load_bundle(bundle).manifest.metrics
    sizes = {name: metrics[name]["bytes"] for name in ("float32", "dynamic", "int8")}
    assert sizes["int8"] == (bundle / "model.tflite").stat().st_size
    assert all(metrics[name]["ms"] > 0 and metrics[name]["n_clips"] == 8 for name in sizes)


def test_a_vote_is_written_with_its_reason_and_an_impossible_one_is_refused(run, tmp_path, capsys):
    why = ["--vote-reason", "steadier"]
    assert main([str(run), "-o", str(tmp_path / "b"), "--vote", "segments=5,exit_segments=3", *why]) == 0
    manifest = load_bundle(tmp_path / "b").manifest
    assert (manifest.vote.segments, manifest.vote.exit_segments, manifest.vote.segment_hop) == (5, 3, 512)
    assert manifest.provenance["vote"] == "steadier"
    for vote, message in (("segments=0", "vote.segments: found 0"), ("segment_hop=100", "vote.segment_hop: found 100")):
        assert main([str(run), "-o", str(tmp_path / "c"), "--vote", vote, *why]) == 2
        assert message in capsys.readouterr().err
    assert main([str(run), "-o", str(tmp_path / "c"), "--vote", "segments=5"]) == 2
    assert "--vote-reason: one without the other" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_a_layer_left_in_float_brings_the_network_closer_to_float(run, bundle, tmp_path, capsys):
    assert main([str(run), "-o", str(tmp_path / "b"), "--float-layers", "1"]) == 0
    repaired = load_bundle(tmp_path / "b").manifest
    assert repaired.input.dtype == "float32"
    assert len(repaired.provenance["float_layers"]) == 1
    assert repaired.metrics["posterior_error"] < load_bundle(bundle).manifest.metrics["posterior_error"]
    assert genrewatch(["doctor", "--bundle", str(tmp_path / "b")]) == 0
    assert main([str(run), "-o", str(tmp_path / "c"), "--float-layers", "2"]) == 2
    assert "--float-layers: found 2, expected 1 to 1" in capsys.readouterr().err


def test_a_layer_that_would_make_the_network_too_large_is_skipped(run, tmp_path, capsys):
    def exported(name, *limit):
        assert main([str(run), "-o", str(tmp_path / name), "--float-layers", "1", *limit]) == 0
        manifest = load_bundle(tmp_path / name).manifest
        return manifest.provenance["float_layers"], (tmp_path / name / "model.tflite").stat().st_size

    costliest, size = exported("b")
    assert exported("c", "--max-kb", str(size / 1000 + 0.1))[0] == costliest
    other, smaller = exported("d", "--max-kb", str(size / 1000 - 0.1))
    assert other != costliest
    assert smaller < size - 100
    assert main([str(run), "-o", str(tmp_path / "e"), "--float-layers", "1", "--max-kb", "0.5"]) == 2
    assert "--max-kb: found 0.5, expected at least 3." in capsys.readouterr().err


def test_int8_gives_nearly_the_logits_of_the_keras_model(bundle, run):
    opened = Run.load(run)
    loaded = load_bundle(bundle)
    clips = opened.held_out("test")
    int8 = np.concatenate(clip_logits(Classifier.of(loaded), clips, opened))
    segments = np.concatenate([np.stack([c.power_db[start : start + 16] for start in range(0, 25, 8)]) for c in clips])
    scaled = FrontEnd(TINY).scale(segments)
    keras_logits = np.asarray(load_model(opened)(scaled[..., None]))
    steps = np.abs(int8 - keras_logits) / loaded.manifest.output.scale
    assert steps.max() < 8
    assert np.ptp(keras_logits) / loaded.manifest.output.scale > 50


def test_a_network_that_int8_changes_too_much_is_not_written(run, tmp_path, capsys):
    output = tmp_path / "refused"
    assert main([str(run), "-o", str(output), "--max-posterior-error", "0"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "posterior_error: int8 differs from float" in last
    assert not output.exists()


def test_calibration_from_a_run_of_another_recipe_is_refused(run, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("split.json", "features.npz", "best.keras"):
        (other / name).write_bytes((run / name).read_bytes())
    (other / "run.json").write_text((run / "run.json").read_text().replace('"tiny"', '"t2"'))
    assert main([str(run), "-o", str(tmp_path / "out"), "--calibration-run", str(other)]) == 2
    assert "another recipe" in capsys.readouterr().err


def test_a_directory_that_is_no_run_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "run directory" in error


@pytest.mark.parametrize("true_temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_fitted(true_temperature):
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (20_000, 5)).astype(np.float32)
    cumulative = softmax(logits).cumsum(axis=1)
    truth = (rng.random((len(logits), 1)) > cumulative).sum(axis=1).clip(0, 4)
    found = fit_temperature(logits * np.float32(true_temperature), truth)
    assert found == pytest.approx(true_temperature, rel=0.05)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("model.tflite", lambda content: content[:-100], "truncated or altered"),
        ("golden.npz", lambda content: content[:-1] + b"x", "truncated or altered"),
        (
            "bundle.json",
            lambda content: content.replace(b'"temperature"', b'"temprature"'),
            "did you mean temperature?",
        ),
        ("bundle.json", lambda content: content[:200], "is not JSON"),
    ],
)
def test_a_damaged_bundle_is_one_line_for_every_command(bundle, tmp_path, capsys, name, change, message):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in bundle.iterdir():
        content = file.read_bytes()
        (damaged / file.name).write_bytes(change(content) if file.name == name else content)
    sound = tmp_path / "a.wav"
    for command in (["classify", str(sound)], ["listen", "--mqtt", "none"], ["bench"]):
        assert genrewatch([*command, "--bundle", str(damaged)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert message in error
        assert name in error
    assert genrewatch(["doctor", "--bundle", str(damaged)]) == 1
    assert message in capsys.readouterr().out


def test_a_model_that_is_not_the_declared_one_is_refused_though_its_hash_is_right(bundle, tmp_path, capsys):
    record = json.loads((bundle / "bundle.json").read_text())
    record["output"]["scale"] *= 2
    for file in bundle.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "bundle.json").write_text(json.dumps(record))
    assert genrewatch(["classify", "x.wav", "--bundle", str(tmp_path)]) == 2
    assert "as in bundle.json" in capsys.readouterr().err


def test_golden_vectors_of_another_network_are_a_failed_check(bundle, tmp_path, capsys):
    import io

    from genrewatch.contract.bundle import sha256

    for file in bundle.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    golden = dict(np.load(bundle / "golden.npz"))
    golden["posterior"] = golden["posterior"][::-1].copy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **golden)
    (tmp_path / "golden.npz").write_bytes(buffer.getvalue())
    record = json.loads((bundle / "bundle.json").read_text())
    record["files"]["golden.npz"] = sha256(buffer.getvalue())
    (tmp_path / "bundle.json").write_text(json.dumps(record))
    assert genrewatch(["doctor", "--bundle", str(tmp_path)]) == 1
    assert "posterior differs by" in capsys.readouterr().out


@pytest.fixture
def store(tmp_path):
    """Twenty clips of each label, without any split of their own."""
    rng = np.random.default_rng(5)
    with new_store(tmp_path / "store", TINY, provenance="synthetic") as writer:
        for label in LABELS:
            for i in range(20):
                writer.add(clip(rng, label), name=f"{label}.{i}", label=label)
    return Store.load(tmp_path / "store")


def test_the_bundle_of_a_run_on_the_default_split_has_its_training_clips_in_its_provenance(store, tmp_path):
    from genrewatch_trainer.training.fit import fit

    fit(experiment(store, RECIPE, scheme="random_60_10_30", seed=4), tmp_path / "run")
    assert main([str(tmp_path / "run"), "-o", str(tmp_path / "b")]) == 0
    provenance = load_bundle(tmp_path / "b").manifest.provenance
    assert provenance["calibrated_on"] == "random_60_10_30:valid, by train"
    assert (provenance["weights_of_epoch"], provenance["epochs"], provenance["clips"]) == (1, 1, 24)
    for part, known in (("test", 0), ("train", 24)):
        found = evaluate(tmp_path / "b", store=store.path, split=("random_60_10_30", part))
        assert found.trained_on == known


def test_a_run_without_a_validation_part_is_exported_uncalibrated_with_a_line_on_it(store, tmp_path, capsys):
    from genrewatch_trainer.training.fit import fit

    fit(experiment(store, RECIPE, scheme="random_70_30", seed=4), tmp_path / "run")
    assert main([str(tmp_path / "run"), "-o", str(tmp_path / "b")]) == 0
    assert "temperature 1 (--calibration-run" in capsys.readouterr().err
    manifest = load_bundle(tmp_path / "b").manifest
    assert (manifest.temperature, manifest.provenance["calibrated_on"]) == (1.0, None)


def test_an_unfinished_run_is_not_exported(run, tmp_path, capsys):
    record = json.loads((run / "run.json").read_text())
    record["recipe"]["epochs"] = 50
    for name in ("split.json", "features.npz", "best.keras"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert main([str(tmp_path), "-o", str(tmp_path / "b")]) == 2
    assert "1 of 50 epochs done" in capsys.readouterr().err


def test_a_bundle_is_replaced_whole_and_nothing_else_ever_is(run, bundle, tmp_path, capsys):
    older = tmp_path / "older"
    shutil.copytree(bundle, older)
    (older / "MODEL_CARD.md").write_text("kept")
    assert main([str(run), "-o", str(older)]) == 0
    assert load_bundle(older).manifest.name == "older"
    assert (older / "MODEL_CARD.md").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["older"]
    (tmp_path / "file").write_text("mine")
    for output in (run, tmp_path / "file", tmp_path / "file" / "b"):
        assert main([str(run), "-o", str(output)]) == 2
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"genrewatch-export: {output}")
    assert (tmp_path / "file").read_text() == "mine"
