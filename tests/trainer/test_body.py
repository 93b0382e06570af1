"""The body of a bundle as layers in float32, and written back in the form that it had."""

from dataclasses import replace

import numpy as np
import pytest

from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.errors import BundleError
from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.head import body_of, read_graph, read_head, tflite_schema, write_graph
from genrewatch_trainer.adaptation.body import CONVOLUTION, read_layers, replace_layers

MODEL = load_bundle(SHIPPED_BUNDLE).model
LOG_MEL = load_bundle(SHIPPED_BUNDLE).golden.log_mel


def largest_of(model: bytes) -> list[float]:
    """Return the greatest outputs that the scales of a model stand for, of each convolution."""
    schema, graph = tflite_schema(), read_graph(model)
    scaled = schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.QUANTIZE
    tensors, found = graph.subgraphs[0].tensors, []
    for operator in graph.subgraphs[0].operators:
        code = graph.operatorCodes[operator.opcodeIndex]
        kind = max(code.builtinCode, code.deprecatedBuiltinCode)
        target = tensors[operator.outputs[0]]
        if kind in scaled and target.type == schema.TensorType.INT8:
            found.append(255 * float(target.quantization.scale[0]))
    return found


def test_layers_written_back_compute_the_same() -> None:
    again = replace_layers(MODEL, read_layers(MODEL), largest_of(MODEL))
    assert len(again) == len(MODEL)
    one, two = (Classifier(model).logits(LOG_MEL) for model in (MODEL, again))
    assert two == pytest.approx(one, abs=1e-3)


def test_other_weights_change_the_features_as_in_float32_and_the_head_stays() -> None:
    layers = read_layers(MODEL)
    last = max(i for i, layer in enumerate(layers) if layer.kind == CONVOLUTION)
    kernel, bias = layers[last].kernel, layers[last].bias
    assert kernel is not None
    assert bias is not None
    layers[last] = replace(layers[last], kernel=2 * kernel, bias=2 * bias)
    most = largest_of(MODEL)
    doubled = replace_layers(MODEL, layers, [*most[:-1], 2 * most[-1]])
    one, two = (Classifier(body_of(model)).logits(LOG_MEL) for model in (MODEL, doubled))
    assert two == pytest.approx(2 * one, abs=0.02)
    assert np.array_equal(read_head(doubled).weights, read_head(MODEL).weights)


def test_weights_of_another_shape_are_refused() -> None:
    layers = read_layers(MODEL)
    layers[0] = replace(layers[0], kernel=np.zeros((3, 3, 1, 4), np.float32), bias=np.zeros(4, np.float32))
    with pytest.raises(BundleError, match="weights of shape"):
        replace_layers(MODEL, layers, largest_of(MODEL))


def test_an_unknown_operator_is_refused() -> None:
    graph, schema = read_graph(MODEL), tflite_schema()
    code = graph.operatorCodes[graph.subgraphs[0].operators[0].opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.TANH
    with pytest.raises(BundleError, match="operator TANH"):
        read_layers(write_graph(graph))
