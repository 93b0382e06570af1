"""The forward filter: against the matrix form of the forward pass, and what hops, gaps and silence do to it."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrewatch.contract.errors import ConfigError
from genrewatch.contract.filter import Caster, ForwardFilter, LabelChain, clip_ballots, segment_ballot, smoothed_states
from genrewatch.contract.vote import NOT_MUSIC, SILENCE, MajorityVote, VoteConfig, VoteOverrides

LABELS = ("rock", "pop", "jazz", NOT_MUSIC)
RATE, HOP = 1000, 500
N_STATES = len(LABELS) + 1
SILENT = np.eye(N_STATES)[-1]


def config(**keys: object) -> VoteConfig:
    return VoteConfig(**({"segment_hop": HOP, "filter": "hmm", "expected_duration_s": 20.0} | keys))  # type: ignore[arg-type]


def new_filter(**keys: object) -> ForwardFilter:
    return ForwardFilter(new_chain(**keys))


def new_chain(**keys: object) -> LabelChain:
    return LabelChain(config(**keys), len(LABELS), RATE)


def posterior(label: str, probability: float = 0.7) -> np.ndarray:
    made = np.full(len(LABELS), (1 - probability) / (len(LABELS) - 1), np.float32)
    made[LABELS.index(label)] = probability
    return made


def random_posteriors(rng: np.random.Generator, n: int) -> list[np.ndarray | None]:
    """Every fifth segment or so is silent."""
    drawn = rng.dirichlet(np.full(len(LABELS), 0.3), n).astype(np.float32)
    return [None if rng.random() < 0.2 else each for each in drawn]


def transition(elapsed_s: float, duration_s: float) -> np.ndarray:
    """The matrix exponential of the generator whose states last `duration_s` on average, by squaring."""
    rate = np.full((N_STATES, N_STATES), 1 / duration_s / (N_STATES - 1))
    np.fill_diagonal(rate, -1 / duration_s)
    step = np.eye(N_STATES) + rate * elapsed_s / 2**24
    for _ in range(24):
        step = step @ step
    return step


@pytest.mark.parametrize("weight", [0.1, 0.5, 1.0])
def test_the_filter_is_the_forward_pass_of_the_model_in_matrix_form(weight: float, rng: np.random.Generator) -> None:
    forward, start = new_filter(segment_weight=weight), 0
    expected = np.full(N_STATES, 1 / N_STATES)
    for i, each in enumerate(random_posteriors(rng, 60)):
        elapsed = int(rng.integers(1, 4 * HOP)) if i else 0
        start += elapsed
        likelihood = SILENT if each is None else np.append(each.astype(np.float64) ** weight, 0)
        expected = transition(elapsed / RATE, 20) @ expected * likelihood
        expected /= expected.sum()
        np.testing.assert_allclose(forward.update(each, start), expected, atol=1e-6)


def test_a_state_is_a_distribution_over_labels_and_silence(rng: np.random.Generator) -> None:
    forward = new_filter()
    for i, each in enumerate(random_posteriors(rng, 200)):
        state = forward.update(each, i * HOP)
        assert state.shape == (N_STATES,)
        assert state.sum() == pytest.approx(1)
        assert (state >= 0).all()
        assert (state[-1] == 1) == (each is None)


def test_one_doubtful_segment_does_not_turn_a_sure_filter() -> None:
    caster = Caster(config(), LABELS, RATE)
    ballots = [caster.cast(posterior("rock", 0.9), i * HOP) for i in range(10)]
    doubtful = caster.cast(posterior("pop", 0.4), 10 * HOP)
    assert {ballot.label for ballot in ballots} == {"rock"}
    assert segment_ballot(posterior("pop", 0.4), LABELS).label == "pop"
    assert doubtful.label == "rock"


def test_a_new_genre_takes_over_within_a_few_sure_segments() -> None:
    caster = Caster(config(), LABELS, RATE)
    for i in range(100):
        caster.cast(posterior("rock", 0.9), i * HOP)
    after = [caster.cast(posterior("jazz", 0.9), (100 + i) * HOP).label for i in range(10)]
    assert after[0] == "rock"
    assert after[5:] == ["jazz"] * 5


def test_a_longer_expected_duration_and_a_lower_weight_make_it_slower() -> None:
    def segments_until_jazz(**keys: object) -> int:
        caster = Caster(config(**keys), LABELS, RATE)
        for i in range(50):
            caster.cast(posterior("rock", 0.9), i * HOP)
        return next(i for i in range(1000) if caster.cast(posterior("jazz", 0.9), (50 + i) * HOP).label == "jazz")

    assert segments_until_jazz(expected_duration_s=2000.0) > segments_until_jazz(expected_duration_s=10.0)
    assert segments_until_jazz(segment_weight=0.1) > segments_until_jazz(segment_weight=1.0)


@given(cuts=st.lists(st.integers(1, 20_000), max_size=10), weight=st.sampled_from([0.2, 1.0]))
def test_ageing_in_parts_is_ageing_at_once(cuts: list[int], weight: float) -> None:
    """A uniform posterior adds no evidence, so segments between change nothing: a hop of two is two hops of one."""
    uniform = np.full(len(LABELS), 1 / len(LABELS), np.float32)
    keys = {"segment_weight": weight, "expected_duration_s": 30.0}
    in_parts, at_once = new_filter(**keys), new_filter(**keys)
    for forward in (in_parts, at_once):
        forward.update(posterior("rock", 0.9), 0)
    for cut in sorted(set(cuts)):
        in_parts.update(uniform, cut)
    parts, once = in_parts.update(uniform, 20_001), at_once.update(uniform, 20_001)
    # sound rules silence out at every segment, so the parts differ by what silence would have returned to the labels
    np.testing.assert_allclose(parts[:-1], once[:-1], atol=0.02)
    assert parts.argmax() == once.argmax()


@given(start=st.integers(1, 10**7), middle=st.floats(0, 1))
def test_ageing_composes(start: int, middle: float) -> None:
    state = np.array([0.7, 0.1, 0.1, 0.05, 0.05])
    between = round(start * middle)
    chain = new_chain()
    in_two = chain.aged(chain.aged(state, between), start - between)
    np.testing.assert_allclose(in_two, chain.aged(state, start), atol=1e-12)


def test_a_label_is_left_after_its_expected_duration_on_average() -> None:
    for elapsed_s in (0.01, 0.1):
        left = 1 - new_chain().aged(np.eye(N_STATES)[0], round(elapsed_s * RATE))[0]
        assert left == pytest.approx(1 - math.exp(-elapsed_s / 20), rel=0.01)


def test_a_gap_ages_the_filter_by_its_length() -> None:
    def jazz_after(gap: int) -> float:
        forward = new_filter()
        for i in range(20):
            forward.update(posterior("rock", 0.9), i * HOP)
        return float(forward.update(posterior("jazz", 0.6), 20 * HOP + gap)[LABELS.index("jazz")])

    by_gap = [jazz_after(seconds * RATE) for seconds in (0, 5, 30, 300)]
    assert by_gap == sorted(by_gap)
    alone = new_filter().update(posterior("jazz", 0.6), 0)
    assert by_gap[-1] == pytest.approx(alone[LABELS.index("jazz")], abs=1e-3)  # as in a new stream
    assert by_gap[0] < by_gap[-1] / 2


def test_silence_is_certain_and_discards_what_was_before_it() -> None:
    after_rock, after_jazz = new_filter(), new_filter()
    for i in range(20):
        after_rock.update(posterior("rock", 0.9), i * HOP)
        after_jazz.update(posterior("jazz", 0.9), i * HOP)
    for forward in (after_rock, after_jazz):
        np.testing.assert_array_equal(forward.update(None, 20 * HOP), SILENT)
    next_states = [forward.update(posterior("pop"), 21 * HOP) for forward in (after_rock, after_jazz)]
    np.testing.assert_array_equal(*next_states)
    assert next_states[0].argmax() == LABELS.index("pop")


def test_silence_and_not_music_cast_ballots() -> None:
    caster = Caster(config(), LABELS, RATE)
    silent = caster.cast(None, 0)
    assert (silent.label, silent.posterior, silent.filtered) == (SILENCE, None, None)
    assert [caster.cast(posterior(NOT_MUSIC, 0.9), (1 + i) * HOP).label for i in range(3)] == [NOT_MUSIC] * 3


def test_a_ballot_keeps_the_segments_own_posterior_beside_the_filters() -> None:
    caster = Caster(config(), LABELS, RATE)
    for i in range(10):
        caster.cast(posterior("rock", 0.9), i * HOP)
    own = posterior("pop", 0.4)
    ballot = caster.cast(own, 10 * HOP)
    assert ballot.posterior is own
    assert ballot.basis is ballot.filtered
    assert ballot.filtered is not None
    assert ballot.filtered.dtype == np.float32
    assert ballot.filtered.sum() == pytest.approx(1)
    assert LABELS[int(ballot.filtered.argmax())] == ballot.label == "rock"


def test_without_a_filter_each_ballot_is_the_segments_own(rng: np.random.Generator) -> None:
    caster = Caster(config(filter="none"), LABELS, RATE)
    for i, each in enumerate(random_posteriors(rng, 50)):
        ballot = caster.cast(each, i * HOP)
        assert ballot.label == segment_ballot(each, LABELS).label
        assert ballot.posterior is each
        assert ballot.basis is each


def test_the_confidence_of_a_verdict_is_the_filters() -> None:
    keys = {"segments": 3, "segment_weight": 0.5}
    caster, vote = Caster(config(**keys), LABELS, RATE), MajorityVote(config(**keys), LABELS)
    for i in range(30):
        ballot = caster.cast(posterior("rock", 0.6), i * HOP)
        verdict = vote.add(ballot)
    assert verdict.genre == "rock"
    assert ballot.filtered is not None
    assert verdict.confidence == pytest.approx(float(ballot.filtered[0]), abs=1e-3)
    assert verdict.confidence > 0.6


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_a_clip_is_smoothed_as_by_enumeration_of_all_paths(weight: float, rng: np.random.Generator) -> None:
    posteriors = [*random_posteriors(rng, 4), None]
    starts = [0, 300, 900, 1000, 2500]
    chain = new_chain(segment_weight=weight, expected_duration_s=3.0)
    total = np.zeros((len(starts), N_STATES))
    for path in itertools.product(range(N_STATES), repeat=len(starts)):
        probability = 1 / N_STATES
        for i, state in enumerate(path):
            if i:
                probability *= transition((starts[i] - starts[i - 1]) / RATE, 3.0)[path[i - 1], state]
            probability *= chain.likelihood(posteriors[i])[state]
        for i, state in enumerate(path):
            total[i, state] += probability
    expected = total / total.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(smoothed_states(posteriors, starts, chain), expected, atol=1e-6)


def test_the_last_smoothed_state_is_the_forward_filters(rng: np.random.Generator) -> None:
    posteriors, starts = random_posteriors(rng, 30), [HOP * i for i in range(30)]
    forward = new_filter()
    states = [forward.update(posterior, start) for posterior, start in zip(posteriors, starts, strict=True)]
    np.testing.assert_allclose(smoothed_states(posteriors, starts, new_chain())[-1], states[-1])


def test_a_clips_first_segments_vote_with_the_knowledge_of_its_last() -> None:
    posteriors = [posterior("pop", 0.4)] * 3 + [posterior("rock", 0.9)] * 6
    starts = [HOP * i for i in range(9)]
    caster = Caster(config(), LABELS, RATE)
    forward = [caster.cast(each, start).label for each, start in zip(posteriors, starts, strict=True)]
    smoothed = clip_ballots(posteriors, starts, LABELS, config(), RATE)
    assert forward[:3] == ["pop"] * 3
    assert [ballot.label for ballot in smoothed] == ["rock"] * 9
    assert all(ballot.posterior is each for ballot, each in zip(smoothed, posteriors, strict=True))
    alone = clip_ballots(posteriors, starts, LABELS, config(filter="none"), RATE)
    assert [ballot.label for ballot in alone] == [segment_ballot(each, LABELS).label for each in posteriors]
    assert clip_ballots([], [], LABELS, config(), RATE) == []


def test_a_posterior_of_zeros_and_ones_is_no_dead_end() -> None:
    caster = Caster(config(segment_weight=1.0), LABELS, RATE)
    sure = {label: np.eye(len(LABELS), dtype=np.float32)[i] for i, label in enumerate(LABELS)}
    played = ["rock", "jazz", "rock", NOT_MUSIC]
    assert [caster.cast(sure[label], i * HOP).label for i, label in enumerate(played)] == played


def test_the_memory_of_the_filter_does_not_grow(rng: np.random.Generator) -> None:
    forward = new_filter()
    for i, each in enumerate(random_posteriors(rng, 500)):
        forward.update(each, i * HOP)
    held = [value for value in vars(forward).values() if isinstance(value, np.ndarray)]
    assert [array.shape for array in held] == [(N_STATES,)]
    assert held[0].base is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("expected_duration_s", 0.5),
        ("expected_duration_s", 86_401.0),
        ("segment_weight", 0.0),
        ("segment_weight", 1.1),
        ("segment_weight", float("nan")),
    ],
)
def test_an_invalid_filter_is_refused_and_the_key_named(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^{key}: found .*, expected .+"):
        config(**{key: value})
    with pytest.raises(ConfigError, match=rf"^vote\.{key}: found "):
        VoteOverrides(**{key: value}).apply(VoteConfig(segment_hop=HOP))  # type: ignore[arg-type]


def test_a_user_can_switch_the_filter_on_and_off() -> None:
    paper = VoteConfig(segment_hop=HOP)
    assert paper.filter == "none"
    filtered = VoteOverrides(filter="hmm", expected_duration_s=60.0, segment_weight=0.25).apply(paper)
    assert (filtered.filter, filtered.expected_duration_s, filtered.segment_weight) == ("hmm", 60.0, 0.25)
    assert VoteOverrides(filter="none").apply(filtered).filter == "none"
