"""An experiment: the data, the recipe and the seed of one run, checked before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

from genrewatch.contract.bundle import sha256
from genrewatch.contract.errors import ConfigError, DataError
from genrewatch_trainer.data.splits import parts_of
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.distillation.target_crops import TargetCrops
from genrewatch_trainer.distillation.targets import Targets
from genrewatch_trainer.run import VERSION, ExtraClipsRecord, Run, RunRecord
from genrewatch_trainer.training.feed import ExtraClips, Feed
from genrewatch_trainer.training.recipes import Recipe

VALIDATION = "valid"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that decides what a run learns. The same experiment gives the same run."""

    store: Store
    recipe: Recipe
    scheme: str
    """Name of the split: a scheme of the store, or a random one."""
    train_parts: tuple[str, ...]
    """Parts of the split to train on."""
    seed: int
    """Of initial weights, crops, dropout and a random split."""
    extra_stores: tuple[tuple[Store, float], ...] = ()
    """Further stores of labelled clips, and the crops drawn from each per crop of the first store. A store that has the
    split's scheme gives its clips of the training parts, any other store gives all of its clips."""
    targets: tuple[Targets, ...] = ()
    """Crops with a teacher's targets."""
    start: Run | None = None
    """A run whose weights to begin with."""

    @cached_property
    def split(self) -> dict[str, str]:
        """Clip name -> part; raises ConfigError for an unknown scheme."""
        return parts_of(self.store.index, self.scheme, self.seed)

    @property
    def validation_part(self) -> str | None:
        """The part that chooses the best epoch; None where it is absent or trained on."""
        validates = VALIDATION in self.split.values() and VALIDATION not in self.train_parts
        return VALIDATION if validates else None

    @cached_property
    def feed(self) -> Feed:
        """The batches to train on; raises ConfigError or DataError where the data does not fit the recipe."""
        self._require_parts()
        self._require_front_end()
        self._require_targets()
        return Feed(
            store=self.store,
            clips=clips_of(self.store, self.split, self.train_parts),
            recipe=self.recipe,
            seed=self.seed,
            extra=tuple(self._extra_clips(store, share) for store, share in self.extra_stores),
            target_crops=TargetCrops.of(*self.targets) if self.targets else None,
        )

    def require_start(self) -> None:
        """Raise ConfigError where the recipe fine-tunes a whole network and `start` is no run of its layers."""
        recipe, start = self.recipe, self.start
        if not recipe.tunes:
            return
        if start is None:
            raise ConfigError("--start-from", "is missing", f"a readout for recipe {recipe.name} to fine-tune")
        for what, found, expected in (
            ("head", start.recipe.head, recipe.head),
            ("labels", " ".join(start.labels), " ".join(self.feed.labels)),
            ("blocks", start.recipe.blocks, recipe.blocks),
        ):
            if found != expected:
                raise ConfigError(f"--start-from {start.path}: {what}", f"found {found}", f"{expected}")

    def record(self) -> RunRecord:
        """Return the content of run.json before the first epoch."""
        crops = self.feed.target_crops
        return RunRecord(
            version=VERSION,
            recipe=self.recipe,
            labels=self.feed.labels,
            store=self.store.path.resolve().name,
            store_sha256=self.store.index.power_db_sha256,
            store_provenance=self.store.index.provenance,
            split_scheme=self.scheme,
            train_parts=self.train_parts,
            validation_part=self.validation_part,
            seed=self.seed,
            also=tuple(map(_extra_record, self.feed.extra)),
            targets=tuple(f"{each.path.resolve().name}: {each.index.teacher}" for each in self.targets),
            targets_sha256=sha256(crops.target.tobytes()) if crops else "",
            started_from=self.start.path.resolve().name if self.start else "",
            versions=_versions(),
        )

    def _require_parts(self) -> None:
        for part in self.train_parts:
            if part not in self.split.values():
                expected = "of " + ", ".join(sorted(set(self.split.values())))
                raise ConfigError("--train-parts", f"found {part}", expected)

    def _require_front_end(self) -> None:
        wanted = self.recipe.front_end
        sources: list[Store | Targets] = [self.store, *(store for store, _ in self.extra_stores), *self.targets]
        for source in sources:
            if source.index.front_end != wanted:
                raise DataError(f"{source.path}: front_end", f"is not that of recipe {self.recipe.name}", f"{wanted}")

    def _require_targets(self) -> None:
        if self.recipe.needs_targets and not self.targets:
            raise ConfigError("--targets", "is missing", f"a target store, which recipe {self.recipe.name} needs")
        if self.targets and not self.recipe.needs_targets:
            found = f"found {len(self.targets)} target store(s)"
            raise ConfigError("--targets", found, f"none: recipe {self.recipe.name} learns from labels only")

    def _extra_clips(self, store: Store, share: float) -> ExtraClips:
        parts = store.index.splits.get(self.scheme) or {clip.name: self.train_parts[0] for clip in store.index.clips}
        clips = clips_of(store, parts, self.train_parts)
        if not clips:
            raise DataError(str(store.path), "holds no clip to train on", "clips of " + ", ".join(self.train_parts))
        return ExtraClips(store=store, clips=clips, share=share)


def clips_of(store: Store, split: Mapping[str, str], parts: tuple[str, ...]) -> tuple[int, ...]:
    """Return the positions of the clips of some parts; raises DataError for a clip shorter than a segment."""
    chosen = tuple(i for i, clip in enumerate(store.index.clips) if split.get(clip.name) in parts)
    for i in chosen:
        clip = store.index.clips[i]
        if clip.n_frames < store.index.front_end.segment_frames:
            expected = f"at least {store.index.front_end.segment_frames}, a segment"
            raise DataError(f"{store.path}: {clip.name}", f"has {clip.n_frames} frames", expected)
    return chosen


def _extra_record(extra: ExtraClips) -> ExtraClipsRecord:
    return ExtraClipsRecord(
        store=extra.store.path.resolve().name,
        store_sha256=extra.store.index.power_db_sha256,
        n_clips=len(extra.clips),
        share=extra.share,
    )


def _versions() -> dict[str, str]:
    """Return the libraries' versions, the backend and the number format."""
    import keras

    found = {name: version(name) for name in ("keras", "numpy")}
    return found | {"backend": keras.backend.backend(), "precision": keras.config.dtype_policy().name}
