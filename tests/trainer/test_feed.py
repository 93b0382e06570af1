from dataclasses import replace

import numpy as np
from tests.lab import TINY, TINY_RECIPE

from genrewatch.contract.front_end import FrontEnd
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.training.augment import blank, cut, equaliser, mixup, shift_bands
from genrewatch_trainer.training.feed import Batch, Feed, clip_segments, representative_segments
from genrewatch_trainer.training.recipes import Augmentation

EVERYTHING = Augmentation(
    stretch_percent=20,
    mel_shift_bands=1,
    equalise_db=6,
    noise_floor_db=20,
    time_mask_frames=3,
    mel_mask_bands=2,
    mixup_alpha=0.3,
)


def batches(feed: Feed, epoch: int) -> list[Batch]:
    return list(feed.epoch(epoch))


def test_an_epoch_shows_every_clip_once_in_segments_from_0_to_1(shared_store: Store) -> None:
    feed = Feed(store=shared_store, clips=tuple(range(0, 40, 2)), recipe=TINY_RECIPE, seed=0)
    got = batches(feed, 0)
    assert len(got) == feed.n_batches == 3
    assert [batch.log_mel.shape for batch in got] == [(8, 16, 8, 1), (8, 16, 8, 1), (4, 16, 8, 1)]
    assert sum(batch.soft_labels.sum() for batch in got) == 20
    for batch in got:
        assert batch.log_mel.dtype == np.float32
        assert 0 <= batch.log_mel.min() <= batch.log_mel.max() == 1
        assert batch.labelled.all()
        assert batch.targets is None


def test_epochs_differ_and_an_epoch_repeats_exactly(shared_store: Store) -> None:
    recipe = replace(TINY_RECIPE, augmentation=EVERYTHING, crops_per_clip=2)
    feed = Feed(store=shared_store, clips=tuple(range(20)), recipe=recipe, seed=0)
    first, again, second = batches(feed, 0), batches(feed, 0), batches(feed, 1)
    for batch, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(batch.log_mel, same.log_mel)
        np.testing.assert_array_equal(batch.soft_labels, same.soft_labels)
    assert not np.array_equal(first[0].log_mel, second[0].log_mel)
    for batch in first:
        np.testing.assert_allclose(batch.soft_labels.sum(axis=1), 1, rtol=1e-6)
        assert 0 <= batch.log_mel.min() <= batch.log_mel.max() <= 1


def test_representative_segments_are_unaugmented_crops_of_training_clips(shared_store: Store) -> None:
    feed = Feed(store=shared_store, clips=(0, 3), recipe=replace(TINY_RECIPE, augmentation=EVERYTHING), seed=0)
    segments = representative_segments(feed, 6)
    every = [s for i in (0, 3) for s in clip_segments(shared_store.clip(i), FrontEnd(TINY), 1)]
    assert segments.shape == (6, 16, 8)
    assert all(any(np.array_equal(segment, one) for one in every) for segment in segments)


def test_the_segments_of_a_clip_start_a_hop_apart_and_never_reach_past_its_end(rng: np.random.Generator) -> None:
    clip = rng.uniform(-60, 0, (40, 8)).astype(np.float32)
    segments = clip_segments(clip, FrontEnd(TINY), 8)
    assert segments.shape == (4, 16, 8)
    np.testing.assert_array_equal(segments[3], FrontEnd(TINY).scale(clip[24:40]))


def test_a_stretched_cut_has_the_length_of_a_segment_and_keeps_a_ramp_a_ramp(rng: np.random.Generator) -> None:
    ramp = np.repeat(np.arange(60, dtype=np.float32)[:, None], 3, axis=1)
    steps = {round(float(np.diff(cut(ramp, 16, 20, rng)[:, 0]).mean()), 3) for _ in range(50)}
    assert cut(ramp, 16, 20, rng).shape == (16, 3)
    assert min(steps) < 0.9 < 1.1 < max(steps)


def test_shifting_bands_moves_the_segment_and_leaves_silence_behind() -> None:
    segment = np.arange(1, 5, dtype=np.float32)[None]
    assert shift_bands(segment, 1, floor_db=-100).tolist() == [[-100, 1, 2, 3]]
    assert shift_bands(segment, -1, floor_db=-100).tolist() == [[2, 3, 4, -100]]
    assert shift_bands(segment, 0, floor_db=-100).tolist() == segment.tolist()


def test_an_equaliser_stays_within_its_range(rng: np.random.Generator) -> None:
    curves = np.stack([equaliser(128, 6, rng) for _ in range(50)])
    assert 4 < np.abs(curves).max() <= 6
    assert np.abs(np.diff(curves, axis=1)).max() < 1


def test_blanking_sets_whole_frames_or_whole_bands_to_zero(rng: np.random.Generator) -> None:
    for axis in (0, 1):
        segment = np.ones((20, 10), np.float32)
        for _ in range(20):
            blank(segment, axis=axis, longest=2, rng=rng)
        along = segment.all(axis=1 - axis)
        assert not along.all()
        assert segment.any(axis=1 - axis).tolist() == along.tolist()


def test_mixup_mixes_inputs_and_labels_by_the_same_share(rng: np.random.Generator) -> None:
    y = np.eye(4, dtype=np.float32)
    x = y[:, :, None, None]
    mixed_x, mixed_y = mixup(x, y, 0.5, rng)
    np.testing.assert_allclose(mixed_x[:, :, 0, 0], mixed_y)
    assert (mixed_y.max(axis=1) >= 0.5).all()
