"""A bundle whose hashes are right and whose content is wrong is refused, and the process that asked for it goes on."""

import json
import random
import shutil
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from genrewatch.audio.level import LevelConfig
from genrewatch.contract.bundle import load_bundle, sha256
from genrewatch.contract.bundle_writer import write_bundle
from genrewatch.contract.errors import BundleError, GenrewatchError
from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch.inference import bundle_check
from genrewatch.inference.bundle_check import open_checked_pipeline
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.head import read_head, replace_head


@pytest.fixture
def path(tmp_path):
    """A copy of the shipped bundle, which is checked in a child."""
    shutil.copytree(SHIPPED_BUNDLE, tmp_path / "copy")
    return tmp_path / "copy"


def opened(path):
    return open_checked_pipeline(path, lambda vote: vote, LevelConfig())


def with_model(path, model):
    """Replace the network and correct its hash, as a faulty exporter would."""
    (path / "model.tflite").write_bytes(model)
    record = json.loads((path / "bundle.json").read_text())
    record["files"]["model.tflite"] = sha256(model)
    (path / "bundle.json").write_text(json.dumps(record))


def with_offsets(offsets):
    model = load_bundle(SHIPPED_BUNDLE).model
    head = read_head(model)
    return replace_head(model, replace(head, offsets=np.asarray(offsets, np.float32) + 0 * head.offsets))


def test_the_shipped_bundle_and_a_copy_of_it_are_accepted(path):
    assert opened(SHIPPED_BUNDLE).manifest == opened(path).manifest


def test_a_network_that_computes_something_else_is_refused(path):
    bundle = load_bundle(path)
    golden = replace(bundle.golden, posterior=bundle.golden.posterior[::-1])
    write_bundle(path, bundle.manifest, bundle.model, golden)
    with pytest.raises(BundleError, match=r"golden\.npz: posterior differs by"):
        opened(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_posterior_that_is_not_finite_is_refused(path, value):
    model = with_offsets(value)
    with pytest.raises(BundleError, match="posterior is not finite"):
        Classifier(model).posterior(load_bundle(SHIPPED_BUNDLE).golden.log_mel)
    with_model(path, model)
    with pytest.raises(BundleError, match="posterior is not finite"):
        opened(path)


def test_a_network_that_crashes_the_runtime_is_refused(path, monkeypatch):
    monkeypatch.setattr(bundle_check, "CODE", "import os; os.kill(os.getpid(), 11)")
    with pytest.raises(BundleError, match=r"its network crashes the runtime \(SIGSEGV\)"):
        opened(path)


def test_a_network_that_never_answers_is_refused(path, monkeypatch):
    monkeypatch.setattr(bundle_check, "CODE", "import time; time.sleep(60)")
    monkeypatch.setattr(bundle_check, "LIMIT_S", 0.2)
    with pytest.raises(BundleError, match="its check takes more than"):
        opened(path)


def test_a_bundle_that_changes_between_its_check_and_its_use_is_refused(path, monkeypatch):
    monkeypatch.setattr(bundle_check, "CODE", 'print(\'{"model.tflite": "other"}\')')
    with pytest.raises(BundleError, match="its check failed"):
        opened(path)


def test_whatever_loading_raises_is_an_error_of_the_bundle(path, monkeypatch):
    monkeypatch.setattr(bundle_check, "load_bundle", lambda _: 1 / 0)
    with pytest.raises(BundleError, match="ZeroDivisionError"):
        opened(path)


def damaged_models(count):
    """Networks with wrong bytes, the same in each run."""
    random_ = random.Random(1)
    model = load_bundle(SHIPPED_BUNDLE).model
    for _ in range(count):
        data = bytearray(model)
        for _ in range(random_.choice((1, 3, 30))):
            # Most of a model is weights; the tables that lead a runtime astray lie at both ends.
            place = random_.choice((random_.randrange(4000), len(data) - 1 - random_.randrange(4000)))
            data[place] = random_.randrange(256)
        yield bytes(data)


@pytest.mark.parametrize("count", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_a_damaged_network_is_refused_or_harmless(path, count):
    for model in damaged_models(count):
        with_model(path, model)
        with suppress(GenrewatchError):
            opened(path)
