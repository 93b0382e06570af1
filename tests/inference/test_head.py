"""The head of a network can be read, exchanged for one of other labels, and taken off; the body computes the same."""

import numpy as np
import pytest

from genrewatch.contract.bundle import Bundle, load_bundle
from genrewatch.contract.errors import BundleError
from genrewatch.contract.front_end import FrontEnd
from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.head import Head, body_hash, body_of, read_head, replace_head


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(SHIPPED_BUNDLE)


@pytest.fixture(scope="module")
def log_mel(bundle: Bundle) -> np.ndarray:
    return bundle.golden.log_mel


def test_the_head_on_the_features_gives_the_logits(bundle, log_mel):
    head, body = read_head(bundle.model), Classifier(body_of(bundle.model))
    features = body.logits(log_mel)
    assert features.shape == (head.weights.shape[1],)
    logits = Classifier(bundle.model).logits(log_mel)
    assert head.weights @ features + head.offsets == pytest.approx(logits, abs=1e-4)


def test_the_same_head_put_back_changes_no_bit_of_the_logits(bundle, log_mel):
    again = replace_head(bundle.model, read_head(bundle.model))
    assert np.array_equal(Classifier(again).logits(log_mel), Classifier(bundle.model).logits(log_mel))


@pytest.mark.parametrize("n_labels", [2, 11, 25])
def test_a_head_of_other_labels_gives_their_logits(bundle, log_mel, rng, n_labels):
    features = Classifier(body_of(bundle.model)).logits(log_mel)
    weights = rng.normal(size=(n_labels, len(features))).astype(np.float32)
    head = Head(weights=weights, offsets=rng.normal(size=n_labels).astype(np.float32))
    model = replace_head(bundle.model, head)
    assert Classifier(model).output.shape == (1, n_labels)
    assert Classifier(model).logits(log_mel) == pytest.approx(weights @ features + head.offsets, rel=1e-4, abs=1e-3)
    assert np.array_equal(read_head(model).weights, weights)


def test_segments_of_any_sound_have_the_same_features_before_and_after(bundle, rng):
    front_end = FrontEnd(bundle.manifest.front_end)
    n_features = read_head(bundle.model).weights.shape[1]
    other = replace_head(
        bundle.model, Head(weights=np.ones((3, n_features), np.float32), offsets=np.zeros(3, np.float32))
    )
    one, two = Classifier(body_of(bundle.model)), Classifier(body_of(other))
    for _ in range(3):
        samples = rng.normal(0, 0.1, bundle.manifest.front_end.segment_samples).astype(np.float32)
        log_mel = front_end.log_mel(samples)
        assert np.array_equal(one.logits(log_mel), two.logits(log_mel))


def test_a_head_of_other_features_is_refused(bundle):
    with pytest.raises(BundleError, match=r"a head of shape \(3, 5\), expected \(n_labels, 768\)"):
        replace_head(bundle.model, Head(weights=np.zeros((3, 5), np.float32), offsets=np.zeros(3, np.float32)))


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0" * 200, b"\xff" * 64])
def test_what_is_no_model_is_one_clear_line(content):
    with pytest.raises(BundleError, match=r"model\.tflite: "):
        read_head(content)


def test_a_network_without_a_dense_float_layer_at_its_end_is_refused(bundle):
    with pytest.raises(BundleError, match="expected a float32 dense layer that gives the logits"):
        read_head(body_of(bundle.model))


def test_networks_with_the_same_body_have_the_same_hash(bundle):
    n_features = read_head(bundle.model).weights.shape[1]
    other = replace_head(
        bundle.model, Head(weights=np.ones((3, n_features), np.float32), offsets=np.zeros(3, np.float32))
    )
    assert body_hash(other) == body_hash(bundle.model) == body_hash(replace_head(other, read_head(bundle.model)))
