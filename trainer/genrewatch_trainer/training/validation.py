"""The validation part of a run: the segments whose accuracy chooses the best epoch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.front_end import FrontEnd
from genrewatch.inference.classifier import softmax
from genrewatch_trainer.evaluation.metrics import clip_metrics
from genrewatch_trainer.training.experiment import Experiment, clips_of
from genrewatch_trainer.training.feed import segments_of
from genrewatch_trainer.training.hardware import predict

PREDICT_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Segments of the validation clips, one clip after another."""

    segments: NDArray[np.float32]
    """(n_segments, segment_frames, n_mels, 1) in [0, 1]"""
    n_segments: list[int]
    """Of each clip."""
    labels: NDArray[np.int64]
    """(n_clips,) positions in the run's labels"""

    @classmethod
    def of(cls, experiment: Experiment) -> "Validation | None":
        """Cut the validation clips into segments side by side; None where no part validates."""
        part, store = experiment.validation_part, experiment.store
        if part is None:
            return None
        clips = clips_of(store, experiment.split, (part,))
        front_end = FrontEnd(experiment.recipe.front_end)
        segments, counts = segments_of([store.clip(i) for i in clips], front_end, front_end.config.segment_frames)
        labels = np.array([experiment.feed.label(i) for i in clips], np.int64)
        return cls(segments=segments[..., None], n_segments=counts, labels=labels)

    def metrics(self, model: Any) -> dict[str, float]:
        """Compute the `clip_metrics` of a model whose output is logits, with the weights that it has now."""
        posterior = softmax(predict(model, self.segments, PREDICT_BATCH))
        return clip_metrics(np.split(posterior, np.cumsum(self.n_segments)[:-1]), self.labels.tolist())
