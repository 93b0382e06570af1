"""The fits of the report. Each is the paper's network, trained to the last epoch on all training clips.

The paper has no validation part, and an epoch chosen on the test part would make the test accuracy meaningless.

    random           70/30, stratified, by clip, as in the paper
    fault_filtered   repeats and mislabelled clips left out, no artist on two sides
    artist           three folds, no artist on two sides
    mfcc             the first two with MFCC in place of log-mel
    curves           fault-filtered again with `valid` held out, for validation curves
    audio            the paper's own front end, random 70/30 of the sound files
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from genrewatch.contract.errors import ConfigError, DataError
from genrewatch.contract.front_end import PAPER, FrontEndConfig
from genrewatch_trainer.data.splits import RANDOM, parts_of
from genrewatch_trainer.data.store import StoreIndex
from genrewatch_trainer.reproduce.mfcc import mfcc_front_end
from genrewatch_trainer.training.recipes import PAPER_RECIPE, Recipe

FAULT_FILTERED, ARTIST_FOLD = "fault_filtered", "artist_fold"
SMALLEST_INPUT = 32
"""Frames and bands that five poolings by two need."""


@dataclass(frozen=True, kw_only=True)
class PlannedFit:
    """One fit and its test clips."""

    key: str
    """Group of fits that differ only in seed and fold."""
    name: str
    """Name of its run folder."""
    part: str
    """One of the parts listed above."""
    scheme: str
    train_parts: tuple[str, ...]
    test_part: str
    seed: int
    """Seed of weights, crops and a random split."""
    recipe: Recipe


PARTS = ("random", FAULT_FILTERED, "artist", "mfcc", "curves", "audio")


def planned_fits(index: StoreIndex, *, seeds: int, epochs: int, audio: bool) -> tuple[PlannedFit, ...]:
    """Return all fits for a store, seed by seed; raises DataError for segments too small for the network."""
    front_end = index.front_end
    if min(front_end.segment_frames, front_end.n_mels) < SMALLEST_INPUT:
        found = f"{front_end.segment_frames} frames x {front_end.n_mels} bands"
        raise DataError("front_end", f"found {found}", f"at least {SMALLEST_INPUT} of each, for five poolings")
    return tuple(e for seed in range(seeds) for e in _of_seed(index, seed, epochs, audio))


def _of_seed(index: StoreIndex, seed: int, epochs: int, audio: bool) -> Iterator[PlannedFit]:
    log_mel = paper_recipe(index.front_end, epochs)
    mfcc = paper_recipe(mfcc_front_end(index.front_end), epochs, name="paper-mfcc")
    filtered = FAULT_FILTERED in index.splits
    folds = sorted(set(index.splits.get(ARTIST_FOLD, {}).values()))

    yield _planned("random", RANDOM, ("train",), "test", log_mel, seed)
    if filtered:
        yield _planned("fault_filtered", FAULT_FILTERED, ("train", "valid"), "test", log_mel, seed)
    for fold in folds:
        others = tuple(other for other in folds if other != fold)
        yield _planned("artist", ARTIST_FOLD, others, fold, log_mel, seed, fold=fold)
    yield _planned("mfcc-random", RANDOM, ("train",), "test", mfcc, seed)
    if filtered:
        yield _planned("mfcc-fault_filtered", FAULT_FILTERED, ("train", "valid"), "test", mfcc, seed)
    if audio:
        yield _planned("audio", RANDOM, ("train",), "test", replace(PAPER_RECIPE, epochs=epochs), seed)
    if filtered and seed == 0:
        yield _planned("curves", FAULT_FILTERED, ("train",), "test", log_mel, seed)


def _planned(
    key: str, scheme: str, train: tuple[str, ...], test: str, recipe: Recipe, seed: int, *, fold: str = ""
) -> PlannedFit:
    return PlannedFit(
        key=key,
        name="-".join([key, *([fold] if fold else []), str(seed)]),
        part=key.partition("-")[0],
        scheme=scheme,
        train_parts=train,
        test_part=test,
        seed=seed,
        recipe=recipe,
    )


def paper_recipe(front_end: FrontEndConfig, epochs: int, name: str = "paper-compact") -> Recipe:
    """Return the paper's network and training for another front end; segments overlap by half, as in the paper."""
    hop = front_end.segment_frames * PAPER_RECIPE.segment_hop_frames // PAPER.segment_frames
    return replace(PAPER_RECIPE, name=name, front_end=front_end, segment_hop_frames=hop, epochs=epochs)


def split_of(index: StoreIndex, planned: PlannedFit) -> dict[str, str]:
    """Return clip name -> part, without training clips that are exact repeats of a test clip."""
    parts = parts_of(index, planned.scheme, planned.seed)
    if not set(planned.train_parts) | {planned.test_part} <= set(parts.values()):
        wanted = ", ".join((*planned.train_parts, planned.test_part))
        found = ", ".join(sorted(set(parts.values())))
        raise ConfigError(f"split {planned.scheme}", f"found parts {found}", wanted)
    tested = {clip.track for clip in index.clips if clip.track and parts.get(clip.name) == planned.test_part}
    return {
        clip.name: parts[clip.name]
        for clip in index.clips
        if clip.name in parts and (parts[clip.name] == planned.test_part or clip.track not in tested)
    }
