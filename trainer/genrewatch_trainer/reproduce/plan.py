"""Which fits the report rests on. Each is the paper's network, trained to the last epoch of all training clips: the
paper keeps no validation part, and an epoch chosen on the test part would be a figure of nothing.

    random           70/30, stratified, by clip: what the paper did
    fault_filtered   repeats and mislabelled clips left out, no artist on two sides
    artist           three folds, no artist on two sides
    mfcc             the first two with MFCC in place of log-mel
    curves           fault-filtered again, `valid` kept out, so that curves of what is not trained on can be drawn
    audio            the paper's own front end, random 70/30 of the sound files at hand
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from genrewatch.contract.errors import ConfigError, DataError
from genrewatch.contract.front_end import PAPER, FrontEndConfig
from genrewatch_trainer.data.splits import RANDOM, parts_of
from genrewatch_trainer.data.store import StoreIndex
from genrewatch_trainer.reproduce.mfcc import picture_front_end
from genrewatch_trainer.training.recipes import PAPER_RECIPE, Recipe

FAULT_FILTERED, ARTIST_FOLD = "fault_filtered", "artist_fold"
SMALLEST_PICTURE = 32
"""Frames and bands that five poolings by two need."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One fit and the clips that judge it."""

    key: str
    """What it measures; fits of one key differ in seed and fold alone."""
    name: str
    """Of its run folder."""
    part: str
    """Which of the parts listed above it belongs to."""
    scheme: str
    train_parts: tuple[str, ...]
    test_part: str
    seed: int
    """Of weights, crops and a random split."""
    recipe: Recipe


PARTS = ("random", FAULT_FILTERED, "artist", "mfcc", "curves", "audio")


def experiments(index: StoreIndex, *, seeds: int, epochs: int, audio: bool) -> tuple[Experiment, ...]:
    """All fits for a store, the most telling first; raises DataError for pictures too small for the network."""
    front_end = index.front_end
    if min(front_end.segment_frames, front_end.n_mels) < SMALLEST_PICTURE:
        found = f"{front_end.segment_frames} frames x {front_end.n_mels} bands"
        raise DataError("front_end", f"found {found}", f"at least {SMALLEST_PICTURE} of each, for five poolings")
    return tuple(e for seed in range(seeds) for e in _of_seed(index, seed, epochs, audio))


def _of_seed(index: StoreIndex, seed: int, epochs: int, audio: bool) -> Iterator[Experiment]:
    log_mel = paper_recipe(index.front_end, epochs)
    mfcc = paper_recipe(picture_front_end(index.front_end), epochs, name="paper-mfcc")
    filtered = FAULT_FILTERED in index.splits
    folds = sorted(set(index.splits.get(ARTIST_FOLD, {}).values()))

    yield _experiment("random", RANDOM, ("train",), "test", log_mel, seed)
    if filtered:
        yield _experiment("fault_filtered", FAULT_FILTERED, ("train", "valid"), "test", log_mel, seed)
    for fold in folds:
        others = tuple(other for other in folds if other != fold)
        yield _experiment("artist", ARTIST_FOLD, others, fold, log_mel, seed, fold=fold)
    yield _experiment("mfcc-random", RANDOM, ("train",), "test", mfcc, seed)
    if filtered:
        yield _experiment("mfcc-fault_filtered", FAULT_FILTERED, ("train", "valid"), "test", mfcc, seed)
    if audio:
        yield _experiment("audio", RANDOM, ("train",), "test", replace(PAPER_RECIPE, epochs=epochs), seed)
    if filtered and seed == 0:
        yield _experiment("curves", FAULT_FILTERED, ("train",), "test", log_mel, seed)


def _experiment(
    key: str, scheme: str, train: tuple[str, ...], test: str, recipe: Recipe, seed: int, *, fold: str = ""
) -> Experiment:
    return Experiment(
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
    """The paper's network and training on another picture, judged by segments that overlap by half, as the paper's."""
    hop = front_end.segment_frames * PAPER_RECIPE.segment_hop_frames // PAPER.segment_frames
    return replace(PAPER_RECIPE, name=name, front_end=front_end, segment_hop_frames=hop, epochs=epochs)


def split_of(index: StoreIndex, experiment: Experiment) -> dict[str, str]:
    """Clip name -> part, without the clips to train on that repeat a clip of the test part sample for sample."""
    parts = parts_of(index, experiment.scheme, experiment.seed)
    if not set(experiment.train_parts) | {experiment.test_part} <= set(parts.values()):
        wanted = ", ".join((*experiment.train_parts, experiment.test_part))
        found = ", ".join(sorted(set(parts.values())))
        raise ConfigError(f"split {experiment.scheme}", f"found parts {found}", wanted)
    tested = {clip.track for clip in index.clips if clip.track and parts.get(clip.name) == experiment.test_part}
    return {
        clip.name: parts[clip.name]
        for clip in index.clips
        if clip.name in parts and (parts[clip.name] == experiment.test_part or clip.track not in tested)
    }
