"""From samples to posterior in one TFLite file: the bundle's own numbers, its labels inside, no operator of our own."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from tests.sounds import tune, write_wav

import genrewatch
from genrewatch import programme
from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.front_end import PAPER, FrontEnd, FrontEndConfig
from genrewatch.inference.classifier import Classifier
from genrewatch_export.chain import chain
from genrewatch_export.cli import main
from genrewatch_export.convert import convert_function
from genrewatch_export.metadata import labels_of
from genrewatch_export.waveform import WaveformModel, log_mel

BUNDLE = Path(genrewatch.__file__).parent / "bundles" / "gtzan-compact"
ODD = FrontEndConfig(sample_rate=8000, n_fft=256, hop_length=300, n_mels=8, fmin=0, fmax=4000, segment_frames=5)


@pytest.fixture(scope="module")
def waveform(tmp_path_factory):
    path = tmp_path_factory.mktemp("waveform") / "genre_waveform.tflite"
    assert main(["waveform", str(BUNDLE), "-o", str(path)]) == 0
    return path


def test_it_computes_the_bundles_posterior_for_music_silence_and_any_level(waveform):
    bundle = load_bundle(BUNDLE)
    classifier, front_end, model = Classifier.of(bundle), FrontEnd(bundle.manifest.front_end), WaveformModel(waveform)
    n = model.segment_samples
    sounds = [programme.item(entry.name)[:n] for entry in programme.PROGRAMME] + [tune(8, seed=4)[:n]]
    sounds += [sounds[0] / 10, np.zeros(n, np.float32)]
    for samples in sounds:
        expected = classifier.posterior(front_end.log_mel(samples))
        np.testing.assert_allclose(model.posterior(samples), expected, atol=0.02)


def test_its_labels_are_metadata_that_an_unzip_program_and_the_metadata_reader_find(waveform):
    from tensorflow.lite.python import schema_py_generated as schema

    labels = load_bundle(BUNDLE).manifest.labels
    assert labels_of(waveform) == labels
    with zipfile.ZipFile(waveform) as archive:
        assert archive.testzip() is None
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(waveform.read_bytes()), 0))
    entry = next(each for each in model.metadata if each.name == b"TFLITE_METADATA")
    packed = bytes(model.buffers[entry.buffer].data)
    assert packed[4:8] == b"M001"
    assert b"labels.txt" in packed
    assert b"22050 Hz" in packed


def field(table, slot):
    """Return the place of a field in a flatbuffer's table; 0 when it is absent."""
    return table.Offset(4 + 2 * slot)


def string(table, slot):
    return table.String(table.Pos + field(table, slot)).decode()


def below(table, slot, index=None):
    """Return the table in a field, or the one at an index of its vector."""
    import flatbuffers

    place = table.Pos + field(table, slot)
    if index is not None:
        place = table.Vector(field(table, slot)) + 4 * index
    return flatbuffers.table.Table(table.Bytes, table.Indirect(place))


def test_its_metadata_has_what_mediapipe_and_the_task_library_ask_for(waveform):
    import flatbuffers
    from flatbuffers import number_types as numbers
    from tensorflow.lite.python import schema_py_generated as schema

    config = load_bundle(BUNDLE).manifest.front_end
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(waveform.read_bytes()), 0))
    entry = next(each for each in model.metadata if each.name == b"TFLITE_METADATA")
    packed = bytearray(model.buffers[entry.buffer].data)
    root = flatbuffers.table.Table(packed, flatbuffers.encode.Get(flatbuffers.packer.uoffset, packed, 0))
    assert [string(root, slot) for slot in (0, 4, 5, 7)] == ["gtzan-compact", "genrewatch", "Apache-2.0", "1.3.0"]
    assert "without the pre-filter" in string(root, 1)
    content = below(below(below(root, 3, 0), 2, 0), 3)  # of the first input of the first graph
    assert content.Get(numbers.Uint8Flags, content.Pos + field(content, 0)) == 4  # AudioProperties
    audio = below(content, 1)
    found = [audio.Get(numbers.Uint32Flags, audio.Pos + field(audio, slot)) for slot in (0, 1)]
    assert found == [config.sample_rate, 1] == [22_050, 1]


def test_its_signature_names_input_and_output(waveform):
    model = WaveformModel(waveform)._interpreter
    assert model.get_signature_list() == {"serving_default": {"inputs": ["samples"], "outputs": ["posterior"]}}
    runner = model.get_signature_runner("serving_default")
    samples = programme.item(programme.PROGRAMME[0].name)[: load_bundle(BUNDLE).manifest.front_end.segment_samples]
    posterior = runner(samples=samples[None])["posterior"][0]
    np.testing.assert_allclose(posterior, WaveformModel(waveform).posterior(samples), atol=1e-6)


def test_it_needs_no_operator_from_outside_the_built_in_ones(waveform):
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(waveform.read_bytes()), 0))
    assert not [code for code in model.operatorCodes if code.customCode]
    assert schema.BuiltinOperator.CUSTOM not in {code.builtinCode for code in model.operatorCodes}


@pytest.mark.parametrize("config", [PAPER, ODD])
def test_the_front_end_in_tensorflow_is_the_devices_for_any_geometry(config, rng):
    samples = rng.normal(0, 0.1, config.segment_samples).astype(np.float32)
    found = np.asarray(log_mel(samples[None], config))[0, :, :, 0]
    np.testing.assert_allclose(found, FrontEnd(config).log_mel(samples), atol=1e-4)


def test_models_in_a_chain_compute_the_same_as_on_their_own(rng):
    double = convert_function(lambda x: 2.0 * x, (1, 3))
    shift = convert_function(lambda x: x + 1.0, (1, 3))
    whole = Classifier(chain([double, shift, double], description="both"))._interpreter
    values = rng.normal(0, 1, (1, 3)).astype(np.float32)
    whole.set_tensor(whole.get_input_details()[0]["index"], values)
    whole.invoke()
    np.testing.assert_allclose(whole.get_tensor(whole.get_output_details()[0]["index"]), 2 * (2 * values + 1))


def test_verify_prints_a_line_per_check_and_exits_0_when_all_is_well(waveform, tmp_path, capsys):
    sound = write_wav(tmp_path / "a.wav", tune(9))
    assert main(["verify", str(BUNDLE), "--waveform", str(waveform), "--audio", str(sound), "--json"]) == 0
    checks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = ["runtime", "bundle", "tensors", "golden", "sanity", "level", "librosa", "waveform", "labels"]
    assert [check["name"] for check in checks] == names
    assert {check["result"] for check in checks} == {"ok"}


def test_verify_exits_1_for_an_altered_file_another_waveform_model_and_a_missing_sound(waveform, tmp_path, capsys):
    altered = tmp_path / "altered"
    shutil.copytree(BUNDLE, altered)
    (altered / "model.tflite").write_bytes(b"x")
    assert main(["verify", str(altered)]) == 1
    assert "wrong   bundle" in capsys.readouterr().out

    swapped = tmp_path / "swapped.tflite"
    swapped.write_bytes(waveform.read_bytes().replace(b"blues\nclassical", b"classical\nblues"))
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(waveform.read_bytes()[:1000])
    for path, name in ((swapped, "labels"), (broken, "waveform"), (tmp_path / "none.tflite", "waveform")):
        assert main(["verify", str(BUNDLE), "--waveform", str(path)]) == 1
        assert f"wrong   {name}" in capsys.readouterr().out
    assert main(["verify", str(BUNDLE), "--audio", str(tmp_path / "no.wav")]) == 1
    assert "wrong   audio" in capsys.readouterr().out
