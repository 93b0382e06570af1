"""A network that gives its features beside its logits computes the same logits, and anything else is left as it is."""

import numpy as np
import pytest

from genrewatch.contract.bundle import Bundle, load_bundle
from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.feature_output import with_features
from genrewatch.inference.head import body_of


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(SHIPPED_BUNDLE)


def test_the_logits_stay_the_same_to_the_last_bit_and_the_features_are_those_of_the_body(bundle, rng):
    plain, both, body = Classifier.of(bundle), Classifier.of(bundle, features=True), Classifier(body_of(bundle.model))
    for log_mel in [bundle.golden.log_mel, *rng.random((3, *bundle.golden.log_mel.shape), np.float32)]:
        found = both.classify(log_mel)
        assert found.posterior.tobytes() == plain.posterior(log_mel).tobytes()
        assert found.features.tobytes() == body.logits(log_mel).tobytes()
    assert plain.classify(log_mel).features is None


def test_a_network_without_a_last_dense_layer_has_no_features(bundle):
    body = Classifier(body_of(bundle.model), features=True)
    assert body.classify(bundle.golden.log_mel).features is None


@pytest.mark.parametrize("content", [b"", b"TFL3", bytes(100), b"\xff" * 100])
def test_what_is_no_network_has_no_features(content):
    assert with_features(content) is None


def test_a_damaged_network_leads_to_no_other_exception(bundle, rng):
    for at in rng.integers(0, 400, 300):
        damaged = bytearray(bundle.model)
        damaged[at] ^= int(rng.integers(1, 256))
        with_features(bytes(damaged))
    for length in range(0, 2000, 41):
        with_features(bundle.model[:length])
