"""The head of a network: the last dense layer, float32 in the models of this project, so it can be fitted again and
exchanged without training or quantizing anything else.

    log-mel (1, segment_frames, n_mels, 1) -> [body, int8] -> features (1, n_features) -> [head] -> logits (1, n_labels)

A TFLite file is a flatbuffer; the runtime brings its schema, so neither TensorFlow nor a converter is needed.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import BundleError

FILE_IDENTIFIER = b"TFL3"
WHERE = "model.tflite"
EXPECTED = "a float32 dense layer that gives the logits"


@dataclass(frozen=True, kw_only=True)
class Head:
    """A dense layer: logits = weights @ features + offsets."""

    weights: NDArray[np.float32]
    """(n_labels, n_features)"""
    offsets: NDArray[np.float32]
    """(n_labels,)"""


def read_head(model: bytes) -> Head:
    """Return the head of a TFLite model; BundleError if its last layer is not a float32 dense layer."""
    graph = read_graph(model)
    _, weights, offsets = _head_tensors(graph)
    return Head(weights=_values(graph, weights), offsets=_values(graph, offsets))


def replace_head(model: bytes, head: Head) -> bytes:
    """Return the model with another head, for any number of labels; the body stays as it is, byte for byte.

    Raises BundleError for a head of another number of features.
    """
    graph = read_graph(model)
    operator, weights, offsets = _head_tensors(graph)
    n_features = int(weights.shape[1])
    if head.weights.shape != (len(head.offsets), n_features):
        raise BundleError(WHERE, f"a head of shape {head.weights.shape}", f"(n_labels, {n_features})")
    for tensor, values in ((weights, head.weights), (offsets, head.offsets)):
        tensor.shape = list(values.shape)
        graph.buffers[tensor.buffer].data = np.frombuffer(np.ascontiguousarray(values, "<f4").tobytes(), np.uint8)
    logits = graph.subgraphs[0].tensors[operator.outputs[0]]
    logits.shape = [1, len(head.offsets)]
    if logits.shapeSignature is not None and len(logits.shapeSignature):
        logits.shapeSignature = [int(logits.shapeSignature[0]), len(head.offsets)]
    return write_graph(graph)


def body_of(model: bytes) -> bytes:
    """Return the model without its head: its output is the features, (1, n_features) float32."""
    graph = read_graph(model)
    operator, _, _ = _head_tensors(graph)
    main = graph.subgraphs[0]
    main.operators = [other for other in main.operators if other is not operator]
    main.outputs = [int(operator.inputs[0])]
    graph.signatureDefs = []
    return write_graph(graph)


def body_hash(model: bytes) -> str:
    """Return a hexadecimal hash of the model without its head: networks with the same one give the same features."""
    graph = read_graph(model)
    operator, weights, offsets = _head_tensors(graph)
    for tensor in (weights, offsets):
        tensor.shape, graph.buffers[tensor.buffer].data = [0], None
    logits = graph.subgraphs[0].tensors[operator.outputs[0]]
    logits.shape, logits.shapeSignature = [0], None
    graph.signatureDefs, graph.metadata, graph.metadataBuffer = [], [], None
    return hashlib.sha256(write_graph(graph)).hexdigest()


def read_graph(model: bytes) -> Any:
    """Return a TFLite model as a tree of objects that can be changed; raises BundleError."""
    schema = tflite_schema()
    try:
        graph = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    except Exception as exc:  # flatbuffers raises whatever a damaged offset leads to
        raise BundleError(WHERE, f"cannot be read ({type(exc).__name__})", "a TFLite model") from None
    if graph.subgraphs is None or len(graph.subgraphs) != 1:
        raise BundleError(WHERE, f"{len(graph.subgraphs or [])} subgraphs", "one")
    return graph


def write_graph(graph: Any) -> bytes:
    """Return the bytes of a tree of objects from `read_graph`."""
    import flatbuffers

    builder = flatbuffers.Builder(1_000_000)
    builder.Finish(graph.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def _head_tensors(graph: Any) -> tuple[Any, Any, Any]:
    """Return the operator of the head with its weights and offsets tensors."""
    schema, main = tflite_schema(), graph.subgraphs[0]
    operator = next((op for op in main.operators if list(op.outputs) == list(main.outputs)), None)
    found = "no single last layer"
    if operator is not None:
        code = graph.operatorCodes[operator.opcodeIndex]
        kind = max(code.builtinCode, code.deprecatedBuiltinCode)
        tensors = [main.tensors[i] for i in operator.inputs if i >= 0]
        found = f"operator {kind} with {len(tensors)} inputs"
        float32 = all(tensor.type == schema.TensorType.FLOAT32 for tensor in tensors)
        if kind == schema.BuiltinOperator.FULLY_CONNECTED and len(tensors) == 3 and float32:
            return operator, tensors[1], tensors[2]
    raise BundleError(WHERE, found, EXPECTED)


def _values(graph: Any, tensor: Any) -> NDArray[np.float32]:
    data = graph.buffers[tensor.buffer].data
    return np.frombuffer(bytes(data), "<f4").reshape([int(size) for size in tensor.shape]).astype(np.float32)


def tflite_schema() -> Any:
    """Return the module of the TFLite schema that the runtime brings; BundleError where it brings none."""
    try:
        from ai_edge_litert import schema_py_generated
    except ModuleNotFoundError:
        raise BundleError(WHERE, "cannot be changed: ai-edge-litert is not installed", "ai-edge-litert") from None
    return schema_py_generated
