"""A bundle is read back as it was written; any fault in it is refused in one line."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrewatch.contract.bundle import GoldenVectors, Manifest, Tensor, load_bundle, sha256
from genrewatch.contract.bundle_writer import write_bundle
from genrewatch.contract.errors import BundleError, ConfigError
from genrewatch.contract.front_end import FrontEnd, FrontEndConfig
from genrewatch.contract.out_of_set import OutOfSet
from genrewatch.contract.vote import NOT_MUSIC, VoteConfig

TINY = FrontEndConfig(sample_rate=8_000, n_fft=256, hop_length=100, n_mels=20, fmin=0, fmax=4_000, segment_frames=8)
MODEL_BYTES = bytes(range(256)) * 8  # load_bundle does not run it


def manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "format": 1,
        "name": "tiny",
        "version": "1.0",
        "labels": ("rock", "pop", NOT_MUSIC),
        "front_end": TINY,
        "vote": VoteConfig(segment_hop=400),
        "temperature": 1.25,
        "input": Tensor(shape=(1, 8, 20, 1), dtype="int8", scale=1 / 255, zero_point=-128),
        "output": Tensor(shape=(1, 3), dtype="int8", scale=0.1, zero_point=3),
        "files": {"model.tflite": "", "golden.npz": ""},
        "metrics": {"accuracy": 0.5},
    }
    return Manifest(**(values | changes))


def golden() -> GoldenVectors:
    samples = np.random.default_rng(0).integers(-9000, 9000, TINY.segment_samples).astype(np.int16)
    log_mel = FrontEnd(TINY).log_mel(samples.astype(np.float32) / np.float32(32768))
    return GoldenVectors(samples=samples, log_mel=log_mel, posterior=np.array([0.5, 0.3, 0.2], np.float32))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle", manifest(), MODEL_BYTES, golden()).path


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as error:
        load_bundle(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message.removeprefix(f"{path}/")


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    record = json.loads((path / "bundle.json").read_text())
    change(record)
    (path / "bundle.json").write_text(json.dumps(record))


def replace_golden(path: Path, content: bytes) -> None:
    """Replace golden.npz and correct its hash, as a faulty exporter would."""
    (path / "golden.npz").write_bytes(content)
    edit(path, lambda record: record["files"].update({"golden.npz": sha256(content)}))


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def test_a_bundle_is_read_back_as_it_was_written(bundle: Path) -> None:
    read, wrote = load_bundle(bundle), golden()
    assert read.model == MODEL_BYTES
    assert read.manifest == manifest(
        files={"model.tflite": sha256(MODEL_BYTES), "golden.npz": read.manifest.files["golden.npz"]}
    )
    for name in ("samples", "log_mel", "posterior"):
        assert getattr(read.golden, name).dtype == getattr(wrote, name).dtype
        assert getattr(read.golden, name).tobytes() == getattr(wrote, name).tobytes()


def test_the_front_end_recomputes_the_golden_log_mel(bundle: Path) -> None:
    read = load_bundle(bundle)
    assert FrontEnd(read.manifest.front_end).log_mel(read.golden.waveform).tobytes() == read.golden.log_mel.tobytes()


def test_a_manifest_from_before_there_were_filters_votes_without_one(bundle: Path) -> None:
    for key in ("filter", "expected_duration_s", "segment_weight"):
        edit(bundle, lambda record, key=key: record["vote"].pop(key))  # type: ignore[misc]
    assert load_bundle(bundle).manifest.vote == VoteConfig(segment_hop=400)
    assert load_bundle(bundle).manifest.vote.filter == "none"


def test_a_filter_travels_in_the_manifest(tmp_path: Path) -> None:
    vote = VoteConfig(segment_hop=400, filter="hmm", expected_duration_s=90.0, segment_weight=0.25)
    written = write_bundle(tmp_path / "filtered", manifest(vote=vote), MODEL_BYTES, golden())
    assert load_bundle(written.path).manifest.vote == vote


def test_a_second_sharpness_travels_in_the_manifest_and_is_left_out_where_there_is_none(tmp_path: Path) -> None:
    written = write_bundle(tmp_path / "one", manifest(), MODEL_BYTES, golden())
    assert "plain_sharpness" not in json.loads((written.path / "bundle.json").read_text())["vote"]
    vote = VoteConfig(segment_hop=400, plain_sharpness=1.4)
    assert write_bundle(tmp_path / "two", manifest(vote=vote), MODEL_BYTES, golden()).manifest.vote == vote


def test_not_music_is_a_label_and_no_genre(bundle: Path) -> None:
    assert load_bundle(bundle).manifest.genres == ("rock", "pop")


def test_a_truncated_model_is_refused(bundle: Path) -> None:
    (bundle / "model.tflite").write_bytes(MODEL_BYTES[:100])
    message = refusal(bundle)
    assert message.startswith("model.tflite: 100 bytes with sha256 ")
    assert message.endswith("truncated or altered")


@pytest.mark.parametrize("name", ["model.tflite", "golden.npz"])
def test_one_altered_byte_is_refused(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    assert refusal(bundle).startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["model.tflite", "golden.npz", "bundle.json"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    assert refusal(bundle) == f"{name}: no such file or directory"


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert "no such directory, expected a bundle" in refusal(tmp_path / "nothing")


def test_a_bundle_made_before_there_was_a_pre_filter_runs_without_one(bundle: Path) -> None:
    record = json.loads((bundle / "bundle.json").read_text())
    del record["pre_filter"]
    (bundle / "bundle.json").write_text(json.dumps(record))
    assert load_bundle(bundle).manifest.pre_filter == "none"
    (bundle / "bundle.json").write_text(json.dumps(record | {"pre_filter": "highpass-9"}))
    assert "pre_filter" in refusal(bundle)


def test_every_key_of_the_manifest_without_a_default_is_required(bundle: Path) -> None:
    record = json.loads((bundle / "bundle.json").read_text())
    for key in set(record) - {"metrics", "provenance", "thresholds", "pre_filter"}:
        (bundle / "bundle.json").write_text(json.dumps({k: v for k, v in record.items() if k != key}))
        assert refusal(bundle) == f"bundle.json: {key}: missing key"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(lables=1), "bundle.json: lables: unknown key, did you mean labels?"),
        (lambda r: r["front_end"].update(hop=1), "bundle.json: front_end.hop: unknown key"),
        (lambda r: r["front_end"].update(n_fft=1000), "bundle.json: front_end.n_fft: found 1000"),
        (lambda r: r["vote"].update(segments=0), "bundle.json: vote.segments: found 0"),
        (lambda r: r["vote"].update(filter="kalman"), 'bundle.json: vote.filter: found "kalman", expected one of none'),
        (lambda r: r["vote"].update(segment_weight=2), "bundle.json: vote.segment_weight: found 2"),
        (lambda r: r["vote"].update(segment_hop=450), "bundle.json: vote.segment_hop: found 450, expected a multiple"),
        (lambda r: r.update(format=2), "bundle.json: format: found 2, expected 1"),
        (lambda r: r.update(temperature=0), "bundle.json: temperature: found 0"),
        (lambda r: r.update(labels=["rock"]), "bundle.json: labels: found 1 of them"),
        (lambda r: r.update(labels=["rock", "pop", "rock"]), "bundle.json: labels: found a label twice"),
        (lambda r: r.update(labels=["rock", "pop", "silence"]), "bundle.json: labels: found 'silence'"),
        (lambda r: r.update(labels=["rock", "pop", "unknown"]), "bundle.json: labels: found 'unknown'"),
        (lambda r: r.update(labels=["rock", "pop", ""]), "bundle.json: labels: found ''"),
        (lambda r: r.update(labels=["rock", "pop", "jazz", "blues"]), "bundle.json: output.shape: found [1, 3]"),
        (lambda r: r["input"].update(shape=[1, 9, 20, 1]), "bundle.json: input.shape: found [1, 9, 20, 1]"),
        (lambda r: r["input"].update(dtype="uint8"), 'bundle.json: input.dtype: found "uint8"'),
        (lambda r: r["input"].update(scale=None), "bundle.json: input.scale: found None"),
        (lambda r: r["input"].update(scale=-0.1), "bundle.json: input.scale: found -0.1"),
        (lambda r: r["output"].update(zero_point=None), "bundle.json: output.zero_point: found None"),
        (lambda r: r["output"].update(dtype="float32"), "bundle.json: output.scale: found 0.1"),
        (lambda r: r["files"].pop("golden.npz"), "bundle.json: files: found ['model.tflite']"),
        (lambda r: r["files"].update({"../secret": "0"}), "bundle.json: files: found ['../secret'"),
    ],
)
def test_a_wrong_manifest_is_refused_with_file_and_key(bundle: Path, change: Any, message: str) -> None:
    edit(bundle, change)
    assert refusal(bundle).startswith(message)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": NaN}', "\x00"])
def test_a_manifest_that_is_no_json_object_is_refused(bundle: Path, text: str) -> None:
    (bundle / "bundle.json").write_text(text)
    assert refusal(bundle).startswith("bundle.json: ")


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("samples", np.zeros(TINY.segment_samples - 1, np.int16)),
        ("samples", np.zeros(TINY.segment_samples, np.float32)),
        ("log_mel", np.zeros((20, 8), np.float32)),
        ("posterior", np.zeros(4, np.float32)),
        ("posterior", np.zeros(3, np.float64)),
    ],
)
def test_a_golden_vector_of_another_shape_or_format_is_refused(bundle: Path, name: str, array: np.ndarray) -> None:
    good = golden()
    arrays = {"samples": good.samples, "log_mel": good.log_mel, "posterior": good.posterior}
    replace_golden(bundle, npz(**(arrays | {name: array})))
    assert refusal(bundle).startswith(f"golden.npz: {name}: found {array.dtype} {list(array.shape)}, expected ")


def truncated_archive() -> bytes:
    return npz(samples=golden().samples)[:-30]


def a_single_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an archive",
        b"PK\x03\x04 but no more",
        truncated_archive(),
        a_single_array(),
        npz(samples=np.zeros(3)),
    ],
    ids=["empty", "text", "magic only", "truncated", "npy", "an array missing"],
)
def test_golden_vectors_that_cannot_be_read_are_refused(bundle: Path, content: bytes) -> None:
    replace_golden(bundle, content)
    assert refusal(bundle).startswith("golden.npz: cannot be read")


def test_golden_vectors_are_never_unpickled(bundle: Path) -> None:
    replace_golden(bundle, npz(samples=np.array([{"a": 1}], object), log_mel=np.zeros(1), posterior=np.zeros(1)))
    assert refusal(bundle).startswith("golden.npz: cannot be read")


def test_a_bundle_can_be_moved(bundle: Path, tmp_path: Path) -> None:
    moved = Path(shutil.move(bundle, tmp_path / "elsewhere"))
    assert load_bundle(moved).path == moved


def test_a_manifest_that_could_not_be_loaded_cannot_be_made() -> None:
    with pytest.raises(ConfigError, match=r"^labels"):
        manifest(labels=("rock", "silence", "pop"))


def test_a_limit_of_known_music_is_kept_and_its_keys_are_written_only_where_they_are_used(tmp_path):
    write_bundle(tmp_path / "plain", manifest(), MODEL_BYTES, golden())
    written = json.loads((tmp_path / "plain" / "bundle.json").read_text())
    assert "out_of_set" not in written  # earlier versions load the bundle
    assert "unknown" not in written["vote"]
    limited = manifest(out_of_set=OutOfSet(threshold=2.5), vote=VoteConfig(segment_hop=400, unknown=True))
    found = write_bundle(tmp_path / "limited", limited, MODEL_BYTES, golden()).manifest
    assert (found.out_of_set, found.vote.unknown) == (OutOfSet(threshold=2.5), True)
