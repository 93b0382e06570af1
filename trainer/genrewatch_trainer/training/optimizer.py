"""Adam with a learning rate in stages and a moving average of the weights."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from genrewatch_trainer.training.recipes import Recipe


def optimizer_of(recipe: Recipe, n_batches: int) -> Any:
    """Return the recipe's optimizer, its schedule laid over all epochs of `n_batches` steps."""
    stages = [Stage(rate=recipe.teach_learning_rate, steps=recipe.teach_epochs * n_batches, falls=True)]
    stages += [
        Stage(rate=recipe.learning_rate, steps=recipe.epochs * n_batches, falls=recipe.schedule == "cosine"),
    ]
    momentum = recipe.average_momentum
    optimizer = AveragingAdam(
        StagedRate([stage for stage in stages if stage.steps]),
        weight_decay=recipe.weight_decay or None,
        use_ema=momentum > 0,
        ema_momentum=momentum or 0.99,
    )
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


class AveragingAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam that keeps the moving average of the weights beside them, where Keras' own overwrites the weights."""

    def finalize_variable_values(self, var_list: Any) -> None:
        """Leave the weights unchanged: training continues with them."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of training with a learning rate of its own."""

    rate: float
    steps: int
    falls: bool
    """To 0, along a half cosine."""


class StagedRate(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of stages that follow one another. After the last stage it stays at that stage's end."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        super().__init__()
        self.stages = tuple(stages)

    def __call__(self, step: Any) -> Any:
        """Return the rate at a step, counted from 0."""
        step = keras.ops.cast(step, "float32")
        start, rate = 0, keras.ops.zeros_like(step)
        for number, stage in enumerate(self.stages):
            done = keras.ops.clip((step - start) / stage.steps, 0, 1)
            here = stage.rate * (0.5 + 0.5 * keras.ops.cos(np.pi * done)) if stage.falls else stage.rate + 0 * done
            rate = here if number == 0 else keras.ops.where(step < start, rate, here)
            start += stage.steps
        return rate

    def get_config(self) -> dict[str, Any]:
        """Return the configuration that Keras saves with the model."""
        return {"stages": [asdict(stage) for stage in self.stages]}
