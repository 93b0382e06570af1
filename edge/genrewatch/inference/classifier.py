"""Log-mel to posterior through a TFLite network, int8 or float32; used by device, trainer and exporter.

logits = (q_out - zero_point) * scale        posterior = softmax(logits / temperature)
"""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.bundle import Bundle, Tensor
from genrewatch.contract.errors import BundleError
from genrewatch.contract.front_end import LogMel
from genrewatch.contract.vote import Posterior
from genrewatch.inference.feature_output import with_features
from genrewatch.inference.runtime import interpreter


@dataclass(frozen=True, kw_only=True)
class Classified:
    """Posterior and features of one segment."""

    posterior: Posterior
    """(n_labels,) calibrated probabilities, sum 1."""
    features: NDArray[np.float32] | None
    """(n_features,) input of the last layer; None where it was not asked for, or the network has none."""


class Classifier:
    """One network; thread-safe, one inference at a time."""

    def __init__(
        self, model: bytes, *, temperature: float = 1.0, where: str = "model.tflite", features: bool = False
    ) -> None:
        """`features` asks for the features of each segment, see `classify`; they cost nothing beside the posterior."""
        extended = with_features(model) if features else None
        model = extended or model
        try:
            self._interpreter = interpreter(model)
        except ValueError as exc:
            raise BundleError(where, f"cannot be read by the runtime ({str(exc).splitlines()[0]})") from None
        self.temperature, self._where = temperature, where
        self._lock = threading.Lock()
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._features = outputs.pop()["index"] if extended else None
        if len(inputs) != 1 or len(outputs) != 1:
            raise BundleError(where, f"{len(inputs)} inputs and {len(outputs)} outputs", "one of each")
        self._in, self._out = inputs[0]["index"], outputs[0]["index"]
        self.input, self.output = _tensor(inputs[0]), _tensor(outputs[0])

    @classmethod
    def of(cls, bundle: Bundle, *, features: bool = False) -> "Classifier":
        """Make the classifier of a bundle; BundleError if its tensors are not those of the manifest."""
        where = str(bundle.path / "model.tflite")
        classifier = cls(bundle.model, temperature=bundle.manifest.temperature, where=where, features=features)
        for name in ("input", "output"):
            found, declared = getattr(classifier, name), getattr(bundle.manifest, name)
            if found != declared:
                raise BundleError(f"{where}: {name}", f"found {found}", f"{declared} as in bundle.json")
        return classifier

    def logits(self, log_mel: LogMel) -> NDArray[np.float32]:
        """Compute (n_labels,) logits of one segment (segment_frames, n_mels) in [0, 1]."""
        return self._run(log_mel)[0]

    def posterior(self, log_mel: LogMel) -> Posterior:
        """Compute (n_labels,) calibrated probabilities, sum 1, of one segment (segment_frames, n_mels) in [0, 1].

        Raises BundleError if they are not finite.
        """
        return self.classify(log_mel).posterior

    def classify(self, log_mel: LogMel) -> Classified:
        """Compute the posterior of one segment as `posterior` does, and its features if they were asked for."""
        logits, features = self._run(log_mel)
        with np.errstate(all="ignore"):
            posterior = softmax(logits / np.float32(self.temperature))
        if not np.isfinite(posterior).all():
            raise BundleError(self._where, "its posterior is not finite", "a network of finite numbers")
        return Classified(posterior=posterior, features=features)

    def _run(self, log_mel: LogMel) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        quantized = _quantize(log_mel[None, :, :, None], self.input)
        with self._lock:
            self._interpreter.set_tensor(self._in, quantized)
            self._interpreter.invoke()
            logits = _dequantize(self._interpreter.get_tensor(self._out)[0], self.output)
            features = None if self._features is None else self._interpreter.get_tensor(self._features)[0]
        return logits, features


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn (..., n_labels) logits into probabilities along the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float32] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


def _tensor(details: dict[str, Any]) -> Tensor:
    dtype = np.dtype(details["dtype"]).name
    if dtype not in ("int8", "float32"):
        raise BundleError("model.tflite", f"{dtype} {details['name']}", "int8 or float32 tensors")
    scale, zero_point = details["quantization"] if dtype == "int8" else (None, None)
    shape = tuple(int(size) for size in details["shape"])
    return Tensor(shape=shape, dtype="int8" if dtype == "int8" else "float32", scale=scale, zero_point=zero_point)


def _quantize(values: LogMel, tensor: Tensor) -> NDArray[Any]:
    if tensor.scale is None or tensor.zero_point is None:
        return values.astype(np.float32)
    steps = np.rint(values * np.float32(1 / tensor.scale)) + tensor.zero_point
    quantized: NDArray[np.int8] = np.clip(steps, -128, 127).astype(np.int8)
    return quantized


def _dequantize(steps: NDArray[Any], tensor: Tensor) -> NDArray[np.float32]:
    if tensor.scale is None or tensor.zero_point is None:
        return steps.astype(np.float32)
    return (steps.astype(np.float32) - tensor.zero_point) * np.float32(tensor.scale)
