"""Recipes: the network and its training. A run saves its recipe, field names and all, so they are a format on disk.

Percentages are integers; the learning rate and mixing strengths are the only fractions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from genrewatch.contract.decode import decode, encode
from genrewatch.contract.errors import ConfigError, require
from genrewatch.contract.front_end import COMPACT, PAPER, FrontEndConfig

Head = Literal["flatten", "mean", "bands"]


@dataclass(frozen=True, kw_only=True)
class ConvBlock:
    """Convolution, ReLU, max-pooling, dropout; strides and pools are (time, mel)."""

    filters: int
    """Output channels of the convolution."""
    kernel: int = 3
    """Width of the convolution in frames and in bands, "same" padding."""
    stride_time: int = 1
    stride_mel: int = 1
    """Steps of the convolution, in frames and in bands."""
    pool_time: int = 2
    pool_mel: int = 2
    """Max-pooling, in frames and in bands; 1 and 1 is none."""
    dropout_percent: int = 0
    """Cells of the block's output that are dropped in training, 0 to 99."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes to a training segment, all in the mel domain. Zero switches one off."""

    stretch_percent: int = 0
    """Tempo: a segment is cut up to this much longer or shorter and fitted to length."""
    mel_shift_bands: int = 0
    """Pitch: the bands are shifted up or down by up to this many."""
    equalise_db: int = 0
    """Equalisation: a smooth random curve over the bands, up to this much up or down."""
    noise_floor_db: int = 0
    """Noise: a floor between `range_db` and this much less below the loudest cell covers what is quieter."""
    time_mask_frames: int = 0
    """Two stretches of up to this many frames are blanked."""
    mel_mask_bands: int = 0
    """Two stretches of up to this many bands are blanked."""
    mixup_alpha: float = 0.0
    """Pairs of segments and their labels are mixed by a share from Beta(alpha, alpha)."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Network and training. The network's output is logits; its input (segment_frames, n_mels, 1) in [0, 1]."""

    name: str
    """Name on the command line."""
    front_end: FrontEndConfig
    """Samples to log-mel; a store must have the same."""
    segment_hop_frames: int
    """Frames between the starts of neighbouring segments when a clip is evaluated."""
    blocks: tuple[ConvBlock, ...]
    """From the input on."""
    head: Head
    """The last feature map as a vector: flattened, its mean over time and mel, or its mean over time for each band."""
    head_dropout_percent: int = 0
    """Dropout on that vector, 0 to 99."""
    batch_norm: bool = False
    """Batch normalisation between each convolution and its ReLU; export folds it into the convolution."""
    batch_norm_momentum: float = 0.9
    """Share that its running statistics keep per step; Keras' 0.99 is too slow for small corpora."""
    augmentation: Augmentation = Augmentation()
    """Random changes to each crop; the default is none."""
    crops_per_clip: int = 1
    """Random crops of each clip in an epoch."""
    label_smoothing: float = 0.0
    """Share of the target that is spread evenly over all labels, 0 to 1."""
    weight_decay: float = 0.0
    """Share of each kernel that a step of learning rate 1 takes off (AdamW); not of biases and norms."""
    learning_rate: float = 0.001
    """Adam's, at the start."""
    schedule: Literal["constant", "cosine"] = "constant"
    """The learning rate stays, or falls to 0 along a half cosine over all epochs."""
    batch: int = 32
    """Segments per step."""
    steps_per_epoch: int = 0
    """Batches in an epoch; 0: a pass over the training clips is an epoch."""
    epochs: int = 100
    """Epochs of training on labels; 0 where a readout follows."""
    teach_epochs: int = 0
    """Epochs of distillation before those, on a teacher's targets only."""
    teach_learning_rate: float = 0.002
    """Adam's at the start of distillation; it falls to 0 along a half cosine over its epochs."""
    taught_percent: int = 0
    """Share of a batch, in the epochs on labels, whose rows are crops with a teacher's targets instead."""
    target_weight: float = 1.0
    """Weight of the targets' squared error, each value in units of its standard deviation, beside the cross-entropy."""
    taught_augmentation: Augmentation = Augmentation()
    """Random changes to crops with targets; the targets stay as they are."""
    settle_batches: int = 0
    """Batches of unaugmented training clips with which batch normalisation is recalibrated before the network is
    evaluated and saved for use; 0: it keeps the running statistics of training."""
    average_momentum: float = 0.0
    """Share that the moving average (EMA) of the weights keeps per step; the average is evaluated. 0: no average."""
    tunes: bool = False
    """True: fine-tune a whole network, genre head included, such as a readout. False: begin with a fresh head."""

    def __post_init__(self) -> None:
        require(1 <= self.batch <= 65_536, "batch", self.batch, "1 to 65536")
        least = 0 if self.teach_epochs else 1
        require(least <= self.epochs <= 1_000_000, "epochs", self.epochs, f"{least} to 1000000")
        require(bool(self.blocks), "blocks", "none", "at least one")
        require(self.teach_epochs >= 0, "teach_epochs", self.teach_epochs, "at least 0")
        require(self.steps_per_epoch >= 0, "steps_per_epoch", self.steps_per_epoch, "at least 0")
        require(self.settle_batches >= 0, "settle_batches", self.settle_batches, "at least 0")
        require(0 <= self.taught_percent < 100, "taught_percent", self.taught_percent, "0 to 99")
        require(0 <= self.average_momentum < 1, "average_momentum", self.average_momentum, "0 to less than 1")
        require(self.crops_per_clip >= 1, "crops_per_clip", self.crops_per_clip, "at least 1")
        require(
            1 <= self.segment_hop_frames <= self.front_end.segment_frames,
            "segment_hop_frames",
            self.segment_hop_frames,
            f"1 to {self.front_end.segment_frames}, the frames of a segment",
        )

    @property
    def all_epochs(self) -> int:
        """Number of epochs, of distillation and on labels."""
        return self.teach_epochs + self.epochs

    @property
    def evaluates_other_weights(self) -> bool:
        """True where the weights that are evaluated differ from those that training continues with."""
        return self.average_momentum > 0 or self.settle_batches > 0

    @property
    def needs_targets(self) -> bool:
        """True where training needs a teacher's targets."""
        return self.teach_epochs > 0 or self.taught_percent > 0

    def target_rows(self, epoch: int) -> int:
        """Return the rows with a teacher's targets in each batch of an epoch, counted from 0."""
        return self.batch if epoch < self.teach_epochs else self.batch * self.taught_percent // 100


PAPER_RECIPE = Recipe(
    name="paper",
    front_end=PAPER,
    segment_hop_frames=330,
    blocks=tuple(ConvBlock(filters=filters, dropout_percent=20) for filters in (16, 32, 64, 128, 256)),
    head="flatten",
)
"""The paper, read so that it is consistent: five blocks, dense over ten genres, Adam, batch 32, 100 epochs."""

COMPACT_RECIPE = Recipe(
    name="compact",
    front_end=COMPACT,
    segment_hop_frames=24,
    blocks=(
        ConvBlock(filters=16, stride_mel=2),
        ConvBlock(filters=32),
        ConvBlock(filters=64),
        ConvBlock(filters=128),
        ConvBlock(filters=192, pool_time=1, pool_mel=1),
    ),
    head="mean",
    head_dropout_percent=30,
    batch_norm=True,
    augmentation=Augmentation(
        stretch_percent=15,
        mel_shift_bands=4,
        equalise_db=8,
        time_mask_frames=12,
        mel_mask_bands=12,
        mixup_alpha=0.2,
    ),
    crops_per_clip=3,
    label_smoothing=0.1,
    weight_decay=0.0005,
    learning_rate=0.002,
    schedule="cosine",
)
"""The shipped model's: small enough for 0.5 ms a segment in int8, augmented because its corpus is small."""

DISTILLED_RECIPE = replace(
    COMPACT_RECIPE,
    name="distilled",
    batch=48,
    steps_per_epoch=80,
    teach_epochs=22,
    teach_learning_rate=0.003,
    epochs=1,
    taught_percent=50,
    learning_rate=0.001,
    average_momentum=0.99,
)
"""The same network, distilled from the features of a pretrained one. The shipped model is a readout of such a run: a
genre head trained by gradients on so few clips was worse (53.8 % of the validation clips against 67.5 %)."""

TUNED_RECIPE = replace(
    COMPACT_RECIPE,
    name="tuned",
    head="bands",
    augmentation=Augmentation(mixup_alpha=0.2),
    batch=48,
    epochs=20,
    average_momentum=0.98,
    settle_batches=20,
    tunes=True,
)
"""A readout of `distilled` (`--pooling bands`) with all layers fine-tuned by gradients. It learns the artists of its
clips, so it helps where the test part has the same artists (random splits) and not where they are new."""

RECIPES = {recipe.name: recipe for recipe in (PAPER_RECIPE, COMPACT_RECIPE, DISTILLED_RECIPE, TUNED_RECIPE)}


def recipe_named(name: str) -> Recipe:
    """Return the recipe called `name`; raises ConfigError."""
    if name not in RECIPES:
        raise ConfigError("--recipe", f"found {name}", "one of " + ", ".join(RECIPES))
    return RECIPES[name]


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Return the recipe with some fields changed, named by dotted keys such as `augmentation.mixup_alpha`.

    Raises ConfigError for an unknown key or an impossible value.
    """
    plain = encode(recipe)
    for key, value in changes.items():
        *tables, last = key.split(".")
        table = plain
        for name in tables:
            table = table.get(name) if isinstance(table, dict) else None
        if not isinstance(table, dict):
            raise ConfigError(f"recipe: {key}", "unknown key", "one of " + " ".join(plain))
        table[last] = encode(value)
    return decode(Recipe, plain, where="recipe")
