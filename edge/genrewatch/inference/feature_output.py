"""A network that gives its pooled features beside its logits: the input of its last layer becomes a second output.

Nothing is computed for it. The operators and all weights stay as they are, so the logits are the same to the last bit.
A TFLite file is a flatbuffer: a new list of outputs is appended, and the reference to the list is changed.
"""

import struct

FULLY_CONNECTED_INPUTS = 3
# positions of fields in their tables, by tensorflow/lite/schema/schema.fbs
SUBGRAPHS, OUTPUTS, OPERATORS, OPERATOR_INPUTS, OPERATOR_OUTPUTS = 2, 2, 3, 1, 2


def with_features(model: bytes) -> bytes | None:
    """Return the model with the outputs logits and features; None for a network whose last layer is no dense layer."""
    try:
        return _with_features(model)
    except (struct.error, IndexError):  # an offset that leads nowhere; the runtime refuses such a file
        return None


def _with_features(model: bytes) -> bytes | None:
    main = _table(model, _list(model, _field(model, _table(model, 0), SUBGRAPHS))[0])
    place = _field(model, main, OUTPUTS)
    outputs = _integers(model, place)
    operators = [_table(model, at) for at in _list(model, _field(model, main, OPERATORS))]
    last = [op for op in operators if _integers(model, _field(model, op, OPERATOR_OUTPUTS)) == outputs]
    if len(outputs) != 1 or len(last) != 1:
        return None
    inputs = _integers(model, _field(model, last[0], OPERATOR_INPUTS))
    if len(inputs) != FULLY_CONNECTED_INPUTS:
        return None
    changed = bytearray(model) + bytes(-len(model) % 4)
    struct.pack_into("<I", changed, place, len(changed) - place)
    return bytes(changed) + struct.pack("<Iii", 2, outputs[0], inputs[0])


def _table(model: bytes, at: int) -> int:
    """Return the position of the table that the reference at `at` leads to."""
    return at + _number(model, at, "<I")


def _field(model: bytes, table: int, index: int) -> int:
    """Return the position of a field; IndexError where the table has none."""
    layout = table - _number(model, table, "<i")
    offset = _number(model, layout + 4 + 2 * index, "<H") if 4 + 2 * index < _number(model, layout, "<H") else 0
    if not offset:
        raise IndexError(index)
    return table + offset


def _list(model: bytes, field: int) -> list[int]:
    """Return the positions of the items of four bytes of the list in a field."""
    start = _table(model, field)
    count = _number(model, start, "<I")
    if start + 4 + 4 * count > len(model):
        raise IndexError(count)
    return [start + 4 + 4 * i for i in range(count)]


def _integers(model: bytes, field: int) -> list[int]:
    return [_number(model, at, "<i") for at in _list(model, field)]


def _number(model: bytes, at: int, kind: str) -> int:
    if at < 0:
        raise IndexError(at)
    number: int = struct.unpack_from(kind, model, at)[0]
    return number
