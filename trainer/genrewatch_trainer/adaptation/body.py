"""The body of a bundle's network: read as convolutions in float32, and written back after training.

The form stays: layers that are int8 stay int8, with a scale for each filter, layers in float32 stay float32. So a
network can be taught again from its TFLite file, without the run that it came from and without a converter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import BundleError
from genrewatch.inference.head import WHERE, body_of, read_graph, tflite_schema, write_graph

Kind = str
CONVOLUTION, MAX_POOL, MEAN_POOL = "CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"
SAME_SCALE = (MAX_POOL, MEAN_POOL, "RESHAPE")
"""Operators whose int8 output has the scale of their input."""
PASSED = ("QUANTIZE", "DEQUANTIZE", "RESHAPE")
LOWEST, HIGHEST = -128, 127


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution with ReLU, padded to the same size, or a pooling layer."""

    kind: Kind
    size: tuple[int, int]
    strides: tuple[int, int]
    kernel: NDArray[np.float32] | None = None
    """(height, width, channels, filters)"""
    bias: NDArray[np.float32] | None = None
    """(filters,)"""


def read_layers(model: bytes) -> list[Layer]:
    """Return the layers of a body in order, int8 weights as the numbers they stand for; raises BundleError."""
    graph = read_graph(body_of(model))
    return [_layer(graph, operator, kind) for operator, kind in _operators(graph) if kind not in PASSED]


def replace_layers(model: bytes, layers: Sequence[Layer], largest: Sequence[float]) -> bytes:
    """Return the model with the weights of `layers`, which have the form of `read_layers`.

    `largest` are the greatest outputs of each convolution, which set the scales of int8 activations.
    """
    graph = read_graph(model)
    convolutions = iter([layer for layer in layers if layer.kind == CONVOLUTION])
    outputs = iter(largest)
    tensors, most = graph.subgraphs[0].tensors, 0.0
    for operator, kind in _operators(graph):
        source, target = tensors[operator.inputs[0]], tensors[operator.outputs[0]]
        if kind == CONVOLUTION:
            _write_weights(graph, operator, next(convolutions))
            most = next(outputs)
        if target.type != tflite_schema().TensorType.INT8:
            continue
        if kind in (CONVOLUTION, "QUANTIZE"):
            _set_scale(target, most)
        elif kind in SAME_SCALE:
            target.quantization = source.quantization
    return write_graph(graph)


def _operators(graph: Any) -> Iterator[tuple[Any, Kind]]:
    """Yield each operator of a graph with its kind, those of the body only; raises BundleError for an unknown one."""
    schema = tflite_schema()
    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    for operator in graph.subgraphs[0].operators:
        code = graph.operatorCodes[operator.opcodeIndex]
        kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if kind == "FULLY_CONNECTED":
            continue
        if kind not in (CONVOLUTION, *SAME_SCALE, *PASSED):
            raise BundleError(WHERE, f"an operator {kind}", "convolutions and pooling, as of a recipe `distilled`")
        yield operator, kind


def _layer(graph: Any, operator: Any, kind: Kind) -> Layer:
    options = operator.builtinOptions
    if kind != CONVOLUTION:
        size, strides = (options.filterHeight, options.filterWidth), (options.strideH, options.strideW)
        return Layer(kind=kind, size=size, strides=strides)
    schema, tensors = tflite_schema(), graph.subgraphs[0].tensors
    relu = options.fusedActivationFunction == schema.ActivationFunctionType.RELU
    if not relu or options.padding != schema.Padding.SAME:
        raise BundleError(WHERE, "a convolution without ReLU or padding", "those of the recipe `distilled`")
    kernel, bias = (_numbers(graph, tensors[at]) for at in operator.inputs[1:3])
    size, strides = (kernel.shape[1], kernel.shape[2]), (options.strideH, options.strideW)
    return Layer(kind=kind, size=size, strides=strides, kernel=np.moveaxis(kernel, 0, 3), bias=bias)


def _numbers(graph: Any, tensor: Any) -> NDArray[np.float32]:
    """Return the numbers that a tensor of weights stands for, a scale for each entry of its first axis."""
    types = {getattr(tflite_schema().TensorType, name): name for name in ("FLOAT32", "INT8", "INT32")}
    dtype = {"FLOAT32": "<f4", "INT8": "i1", "INT32": "<i4"}[types[tensor.type]]
    values = np.frombuffer(bytes(graph.buffers[tensor.buffer].data), dtype).reshape(tuple(tensor.shape))
    if dtype == "<f4":
        return values.astype(np.float32)
    scales = np.asarray(tensor.quantization.scale, np.float64).reshape(-1, *[1] * (values.ndim - 1))
    return (values * scales).astype(np.float32)


def _write_weights(graph: Any, operator: Any, layer: Layer) -> None:
    assert layer.kernel is not None
    assert layer.bias is not None
    source, weights, bias = (graph.subgraphs[0].tensors[at] for at in operator.inputs[:3])
    kernel = np.moveaxis(layer.kernel, 3, 0)
    if kernel.shape != tuple(weights.shape):
        raise BundleError(WHERE, f"weights of shape {kernel.shape}", str(tuple(weights.shape)))
    if weights.type == tflite_schema().TensorType.FLOAT32:
        _store(graph, weights, kernel.astype("<f4"))
        _store(graph, bias, layer.bias.astype("<f4"))
        return
    scales = np.maximum(np.abs(kernel).max(axis=(1, 2, 3)), 1e-9).astype(np.float64) / HIGHEST
    _store(graph, weights, np.rint(kernel / scales[:, None, None, None]).astype("i1"))
    of_bias = scales * float(source.quantization.scale[0])
    _store(graph, bias, np.rint(layer.bias / of_bias).astype("<i4"))
    weights.quantization.scale, bias.quantization.scale = scales.astype(np.float32), of_bias.astype(np.float32)


def _set_scale(tensor: Any, largest: float) -> None:
    """Set the scale of int8 activations from 0 to `largest`."""
    tensor.quantization.scale = np.array([largest / (HIGHEST - LOWEST)], np.float32)
    tensor.quantization.zeroPoint = np.array([LOWEST], np.int64)


def _store(graph: Any, tensor: Any, values: NDArray[Any]) -> None:
    graph.buffers[tensor.buffer].data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
