"""TFLite models joined into one: the output of each is the input of the next, and nothing is converted again.

    samples -> [front end, float32] -> quantize -> [the bundle's network, int8] -> dequantize -> [softmax, float32]

Operators, tensors and weights are copied, so each part computes the same as on its own. A QUANTIZE or DEQUANTIZE
operator joins a float32 tensor and an int8 one.
"""

from collections.abc import Sequence
from typing import Any

from genrewatch.contract.errors import DataError


def chain(models: Sequence[bytes], *, description: str) -> bytes:
    """Join models that have one subgraph, one input and one output each; raises DataError where shapes do not fit."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    whole = _read(models[0], schema)
    for model in models[1:]:
        _append(whole, _read(model, schema), schema)
    whole.description, whole.signatureDefs, whole.metadata = description, [], []
    builder = flatbuffers.Builder(1_000_000)
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _read(model: bytes, schema: Any) -> Any:
    found = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    graphs = found.subgraphs
    if len(graphs) != 1 or len(graphs[0].inputs) != 1 or len(graphs[0].outputs) != 1:
        raise DataError("model", f"{len(graphs)} subgraphs", "one, with one input and one output")
    return found


def _append(whole: Any, model: Any, schema: Any) -> None:
    """Append `model` to `whole`, with its buffer, tensor and operator code indices shifted."""
    graph, more = whole.subgraphs[0], model.subgraphs[0]
    buffers, tensors, codes = len(whole.buffers), len(graph.tensors), len(whole.operatorCodes)
    whole.buffers += model.buffers
    whole.operatorCodes += model.operatorCodes
    for tensor in more.tensors:
        tensor.buffer += buffers
        graph.tensors.append(tensor)
    _join(whole, int(graph.outputs[0]), tensors + int(more.inputs[0]), schema)
    for operator in more.operators:
        operator.opcodeIndex += codes
        operator.inputs = [i + tensors if i >= 0 else i for i in operator.inputs]  # -1: an optional input is absent
        operator.outputs = [i + tensors for i in operator.outputs]
        operator.intermediates = [i + tensors for i in operator.intermediates or []]
        graph.operators.append(operator)
    graph.outputs = [tensors + int(more.outputs[0])]


def _join(whole: Any, output: int, following: int, schema: Any) -> None:
    """Add the operator from the tensor `output` to the tensor `following`."""
    graph = whole.subgraphs[0]
    shapes = [list(graph.tensors[i].shape) for i in (output, following)]
    if shapes[0] != shapes[1]:
        raise DataError("model", f"an output {shapes[0]} before an input {shapes[1]}", "one shape")
    code, kind, options = _conversion(graph.tensors[output].type, graph.tensors[following].type, schema)
    if options is not None:
        options.newShape = shapes[1]
    operator = schema.OperatorT()
    operator.opcodeIndex = len(whole.operatorCodes)
    operator.inputs, operator.outputs = [output], [following]
    if kind is not None:
        operator.builtinOptionsType, operator.builtinOptions = kind, options
    added = schema.OperatorCodeT()
    added.builtinCode = code
    added.deprecatedBuiltinCode = min(code, 127)
    added.version = 1
    whole.operatorCodes = [*whole.operatorCodes, added]
    graph.operators.append(operator)


def _conversion(given: int, wanted: int, schema: Any) -> tuple[int, int | None, Any]:
    """Return operator, type of options and options to convert one tensor type to another."""
    float32, int8 = schema.TensorType.FLOAT32, schema.TensorType.INT8
    reshape = schema.BuiltinOptions.ReshapeOptions
    operators: dict[tuple[int, int], tuple[int, int | None, Any]] = {
        (float32, int8): (schema.BuiltinOperator.QUANTIZE, None, None),
        (int8, float32): (schema.BuiltinOperator.DEQUANTIZE, None, None),
        (float32, float32): (schema.BuiltinOperator.RESHAPE, reshape, schema.ReshapeOptionsT()),
    }
    return operators[given, wanted]
