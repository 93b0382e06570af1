"""TFLite metadata: a description of input and output for Android's and other tools, and the labels as a file inside.

The format has two parts (metadata_schema.fbs, "M001"): a flatbuffer in the model's buffer TFLITE_METADATA,
and a zip archive behind the model's last byte, which any unzip program reads. MediaPipe Tasks and the TFLite Task
Library take an audio model only with `AudioProperties` in it ("Missing audio metadata"), and name their inputs and
outputs by its signature.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrewatch.contract.errors import DataError

LABELS = "labels.txt"
_NAME, _IDENTIFIER, _AXIS_LABELS = "TFLITE_METADATA", b"M001", 2
_AUDIO_PROPERTIES = 4
"""Position of AudioProperties in the union ContentProperties."""
MIN_PARSER_VERSION = "1.3.0"
"""The version that added AudioProperties."""
SIGNATURE = "serving_default"
"""Name of the signature."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Description:
    """The content of the metadata."""

    name: str
    version: str
    text: str
    author: str
    licence: str
    sample_rate: int
    """Of the input, Hz."""
    channels: int = 1
    input_name: str
    input_text: str
    output_name: str
    output_text: str
    labels: tuple[str, ...]
    """In the order of the output."""


def with_metadata(model: bytes, description: Description) -> bytes:
    """Add a description and its labels to a model."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    found = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(_pack(description))
    entry.name, entry.buffer = _NAME, len(found.buffers)
    found.buffers.append(buffer)
    found.signatureDefs = [_signature(found.subgraphs[0], description)]
    found.metadata = [*(found.metadata or []), entry]
    builder = flatbuffers.Builder(len(model) + 10_000)
    builder.Finish(found.Pack(builder), b"TFL3")
    return bytes(builder.Output()) + _archive({LABELS: "".join(f"{label}\n" for label in description.labels)})


def _signature(graph: Any, description: Description) -> Any:
    """Return the signature that names the input and the output of a graph."""
    from tensorflow.lite.python import schema_py_generated as schema

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    names = ((description.input_name, graph.inputs[0]), (description.output_name, graph.outputs[0]))
    maps = []
    for name, index in names:
        tensor = schema.TensorMapT()
        tensor.name, tensor.tensorIndex = name, index
        maps.append(tensor)
    signature.inputs, signature.outputs = maps[:1], maps[1:]
    return signature


def labels_of(path: Path) -> tuple[str, ...]:
    """Read the labels inside a model's file; raises DataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.read(LABELS).decode().splitlines())
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as exc:
        raise DataError(str(path), f"no {LABELS} inside ({exc})", "a model of genrewatch-export") from None


def _archive(files: dict[str, str]) -> bytes:
    """Zip the files; the same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), text)
    return out.getvalue()


def _pack(description: Description) -> bytes:
    """Serialize ModelMetadata as a flatbuffer; the numbers are the positions of the fields in their tables."""
    import flatbuffers

    b = flatbuffers.Builder(1024)
    text = b.CreateString
    labels = {0: text(LABELS), 1: text("the labels of the output, a line each")}
    label_file = _table(b, 3, labels, small={2: _AXIS_LABELS})
    audio = _table(b, 2, {}, numbers={0: description.sample_rate, 1: description.channels})
    content = _table(b, 3, {1: audio}, small={0: _AUDIO_PROPERTIES})
    into = _table(b, 7, {0: text(description.input_name), 1: text(description.input_text), 3: content})
    files = _vector(b, label_file)
    out = _table(b, 7, {0: text(description.output_name), 1: text(description.output_text), 6: files})
    graph = _table(b, 5, {2: _vector(b, into), 3: _vector(b, out)})
    parts = {
        0: text(description.name),
        1: text(description.text),
        2: text(description.version),
        3: _vector(b, graph),
        4: text(description.author),
        5: text(description.licence),
        7: text(MIN_PARSER_VERSION),
    }
    b.Finish(_table(b, 8, parts), _IDENTIFIER)
    return bytes(b.Output())


def _table(
    builder: Any,
    n_fields: int,
    fields: dict[int, int],
    *,
    small: dict[int, int] | None = None,
    numbers: dict[int, int] | None = None,
) -> int:
    """Add a table of offsets, of one-byte integers and of 32-bit `numbers`; return its offset."""
    builder.StartObject(n_fields)
    for position, offset in fields.items():
        builder.PrependUOffsetTRelativeSlot(position, offset, 0)
    for position, value in (small or {}).items():
        builder.PrependInt8Slot(position, value, 0)
    for position, value in (numbers or {}).items():
        builder.PrependUint32Slot(position, value, 0)
    return int(builder.EndObject())


def _vector(builder: Any, *offsets: int) -> int:
    """Add a vector of offsets; return its offset."""
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
