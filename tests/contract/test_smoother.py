"""The fixed-lag smoother: against the smoother over a whole clip, and what gaps and silence do to it."""

import numpy as np
import pytest
from tests.contract.test_filter import HOP, LABELS, RATE, config, posterior, random_posteriors

from genrewatch.contract.filter import ForwardFilter, LabelChain, smoothed_states
from genrewatch.contract.smoother import FilteredSegment, centred, past_ballot, past_verdict
from genrewatch.contract.vote import SILENCE, Posterior

SEGMENT = 4 * HOP
CHAIN = LabelChain(config(), len(LABELS), RATE)


def window_of(posteriors: list[Posterior | None], starts: list[int] | None = None) -> list[FilteredSegment]:
    forward = ForwardFilter(CHAIN)
    return [
        FilteredSegment(start=start, end=start + SEGMENT, posterior=each, state=forward.update(each, start))
        for each, start in zip(posteriors, starts or range(0, HOP * len(posteriors), HOP), strict=True)
    ]


def test_the_sound_that_a_segment_brought_is_in_the_middle_of_a_later_one() -> None:
    window = window_of([posterior("rock")] * 6)
    assert [centred(window[i:]) for i in range(6)] == [1, 1, 1, 1, 1, 0]


def test_a_segment_after_a_gap_is_no_middle_of_the_sound_before_it() -> None:
    window = window_of([posterior("rock")] * 4, [0, HOP, HOP + SEGMENT + 1, 2 * HOP + SEGMENT + 1])
    assert [centred(window[i:]) for i in range(4)] == [1, 0, 1, 0]


def test_with_all_of_a_clip_ahead_it_is_the_smoother_of_the_clip(rng: np.random.Generator) -> None:
    posteriors, starts = random_posteriors(rng, 30), list(np.cumsum(rng.integers(1, 3 * HOP, 30)))
    window, states = window_of(posteriors, starts), smoothed_states(posteriors, starts, CHAIN)
    for i in range(30):
        place = i + centred(window[i:])
        ballot = past_ballot(window[i:], CHAIN, LABELS)
        assert ballot.posterior is posteriors[place]
        if ballot.filtered is None:
            assert (ballot.label, states[place][-1]) == (SILENCE, 1)
        else:
            np.testing.assert_allclose(ballot.filtered, states[place][:-1], atol=1e-6)


def test_a_new_genre_is_dated_back_to_its_first_sound() -> None:
    window = window_of([posterior("rock", 0.9)] * 10 + [posterior("jazz", 0.5)] + [posterior("jazz", 0.9)] * 9)
    verdicts = [past_verdict(past_ballot(window[i : i + 8], CHAIN, LABELS), LABELS, config()) for i in range(12)]
    assert [verdict.genre for verdict in verdicts] == ["rock"] * 9 + ["jazz"] * 3


def test_later_silence_says_nothing_about_the_genre_before_it() -> None:
    sound = [posterior("rock", 0.6)] * 3
    alone, before_silence = window_of(sound), window_of([*sound, None, None])
    np.testing.assert_allclose(
        past_ballot(alone[2:], CHAIN, LABELS).filtered, past_ballot(before_silence[2:3], CHAIN, LABELS).filtered
    )
    silent = past_verdict(past_ballot(before_silence[3:], CHAIN, LABELS), LABELS, config())
    assert (silent.genre, silent.reason, silent.share, silent.confidence) == (None, "silence", 1.0, None)


def test_without_a_majority_of_the_probability_it_is_refused() -> None:
    doubtful = past_ballot(window_of([np.array([0.4, 0.3, 0.2, 0.1], np.float32)]), CHAIN, LABELS)
    verdict = past_verdict(doubtful, LABELS, config())
    assert (verdict.genre, verdict.reason, verdict.confidence, verdict.votes) == (None, "refused", None, {"rock": 1})
    assert 0.25 < verdict.share < 0.5
    clear = past_ballot(window_of([posterior("rock", 0.9)]), CHAIN, LABELS)
    sure = past_verdict(clear, LABELS, config())
    assert (sure.genre, sure.reason) == ("rock", "majority")
    assert sure.share == sure.confidence == pytest.approx(float(clear.filtered.max()))  # type: ignore[union-attr]
    assert past_verdict(clear, LABELS, config(min_share=0.99)).reason == "refused"
