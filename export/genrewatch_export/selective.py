"""Int8 with some layers left in float32: the remedy where quantization costs too much.

The cost of a layer is measured: the network is quantized once for each layer with only that layer left in float32, and
the layers are ranked by how close its probabilities come to those of the float32 network. Such a network has float32
input and output; its size grows only by the layers left in float32.
"""

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from genrewatch.contract.errors import ConfigError
from genrewatch.inference.classifier import Classifier, softmax
from genrewatch_export.convert import int8_converter, to_float
from genrewatch_trainer.quiet import held_back
from genrewatch_trainer.run import Run

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
SEGMENTS = 64


def to_selective_int8(model: Any, run: Run, n_float: int, most_bytes: int = 0) -> tuple[bytes, tuple[str, ...]]:
    """Quantize all but the `n_float` costliest layers; return the network and those layers, such as `3 conv_2d`.

    With `most_bytes` a layer that would make the network larger is skipped, so there may be fewer. Raises ConfigError
    for an impossible number of layers, and where no layer is small enough.
    """
    converter = int8_converter(model, run)
    layers = _layers(converter, run)
    if not 1 <= n_float < len(layers):
        raise ConfigError("--float-layers", f"found {n_float}", f"1 to {len(layers) - 1}")
    wanted = _probabilities(to_float(model, run), run)
    costs = []
    for tensor in layers.values():
        found = _probabilities(_leaving(converter, run, [tensor]), run)
        costs.append(float(np.abs(found - wanted).mean()))
    kept: list[str] = []
    content, sizes = b"", []
    for name in (list(layers)[i] for i in np.argsort(costs, kind="stable")):
        larger = _leaving(converter, run, [layers[other] for other in (*kept, name)])
        sizes.append(len(larger))
        if not most_bytes or len(larger) <= most_bytes:
            kept, content = [*kept, name], larger
        if len(kept) == n_float:
            break
    if not kept:
        raise ConfigError("--max-kb", f"found {most_bytes / 1000:g}", f"at least {min(sizes) / 1000:.1f}")
    return content, tuple(sorted(kept))


def _layers(converter: Any, run: Run) -> dict[str, str]:
    """Return the layers with weights, counted from 1 in the network's order -> the tensor that each one writes."""
    import tensorflow as tf

    with held_back(1, 2):
        debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=lambda: _few(run))
        debugger.run()
    table = io.StringIO()
    debugger.layer_statistics_dump(table)
    rows = csv.DictReader(io.StringIO(table.getvalue()))
    weighted = [(row["op_name"], row["tensor_name"]) for row in rows if row["op_name"] in WEIGHTED]
    return {f"{i} {operator.lower()}": tensor for i, (operator, tensor) in enumerate(weighted, start=1)}


def _leaving(converter: Any, run: Run, tensors: Sequence[str]) -> bytes:
    """Quantize the network except the operators that write `tensors`."""
    import tensorflow as tf

    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=list(tensors))
    with held_back(1, 2):
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=lambda: _few(run), debug_options=options
        )
        content: bytes = debugger.get_nondebug_quantized_model()
    return content


def _few(run: Run) -> Any:
    for segment in run.representative()[:SEGMENTS]:
        yield [segment[None, :, :, None]]


def _probabilities(content: bytes, run: Run) -> Any:
    classifier = Classifier(content)
    return softmax(np.stack([classifier.logits(segment) for segment in run.representative()]))
