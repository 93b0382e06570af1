"""The majority vote: eq. 2 by hand, hysteresis step by step, and a slow reference implementation."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrewatch.contract.errors import ConfigError
from genrewatch.contract.vote import (
    NOT_MUSIC,
    SILENCE,
    Ballot,
    MajorityVote,
    Verdict,
    VoteConfig,
    clip_verdict,
    confidence,
    majority,
)

LABELS = ("rock", "pop", "jazz", NOT_MUSIC)
LETTERS = {"r": "rock", "p": "pop", "j": "jazz", "n": NOT_MUSIC, "s": SILENCE}


def ballots(letters: str, share: float = 0.7) -> list[Ballot]:
    return [ballot(LETTERS[letter], share) for letter in letters]


def ballot(label: str, share: float = 0.7) -> Ballot:
    if label == SILENCE:
        return Ballot(label=label, posterior=None)
    posterior = np.full(len(LABELS), (1 - share) / (len(LABELS) - 1), np.float32)
    posterior[LABELS.index(label)] = share
    return Ballot(label=label, posterior=posterior)


def verdicts(letters: str, **keys: float) -> list[Verdict]:
    vote = MajorityVote(VoteConfig(segment_hop=1, **keys), LABELS)  # type: ignore[arg-type]
    return [vote.add(ballot) for ballot in ballots(letters)]


def summary(letters: str, **keys: float) -> str:
    return " ".join(f"{v.genre}/{v.reason}" if v.genre else v.reason for v in verdicts(letters, **keys))


@pytest.mark.parametrize(
    ("letters", "genre"),
    [
        ("rrr", "rock"),
        ("rrp", "rock"),
        ("rpj", None),  # a plurality is not enough
        ("rrpp", None),  # exactly half is refused
        ("rrppj", None),
        ("rrrpp", "rock"),
        ("rrrppp", None),
        ("rrrrppp", "rock"),
        ("rsss", None),  # silence wins and is not a genre
        ("r", "rock"),
    ],
)
def test_a_clip_is_the_genre_with_more_than_half_of_the_votes_else_refused(letters: str, genre: str | None) -> None:
    assert clip_verdict(ballots(letters), LABELS).genre == genre


def test_a_clip_verdict_holds_reason_share_and_votes() -> None:
    verdict = clip_verdict(ballots("rrpr"), LABELS)
    assert (verdict.reason, verdict.share, verdict.segments) == ("majority", 0.75, 4)
    assert list(verdict.votes.items()) == [("rock", 3), ("pop", 1)]
    assert verdict.confidence == pytest.approx((3 * 0.7 + 0.1) / 4)


def test_a_refused_clip_has_the_share_of_the_leading_label_and_no_confidence() -> None:
    verdict = clip_verdict(ballots("rrpj"), LABELS)
    assert (verdict.genre, verdict.reason, verdict.share, verdict.confidence) == (None, "refused", 0.5, None)


def test_silence_and_not_music_can_win_and_are_not_genres() -> None:
    assert clip_verdict(ballots("ssr"), LABELS).reason == "silence"
    assert clip_verdict(ballots("nnr"), LABELS).reason == "not_music"
    assert clip_verdict([], LABELS).reason == "warming_up"


def test_the_confidence_is_sharpened() -> None:
    plain = clip_verdict(ballots("rrr"), LABELS)
    sharper = clip_verdict(ballots("rrr"), LABELS, sharpness=2.0)
    assert plain.confidence == pytest.approx(0.7)
    assert sharper.confidence == pytest.approx(0.7**2 / (0.7**2 + 3 * 0.1**2))
    assert sharper.genre == plain.genre
    rolling = verdicts("rrr", segments=3, sharpness=2.0)[-1]
    assert rolling.confidence == pytest.approx(sharper.confidence)
    with pytest.raises(ConfigError, match="sharpness: found 0"):
        VoteConfig(segment_hop=1, sharpness=0)


def test_ballots_without_a_filter_have_a_sharpness_of_their_own() -> None:
    both = {"segments": 3, "sharpness": 0.5, "plain_sharpness": 2.0}
    assert verdicts("rrr", **both)[-1] == verdicts("rrr", segments=3, sharpness=2.0)[-1]
    assert verdicts("rrr", **both, filter="hmm")[-1] == verdicts("rrr", segments=3, sharpness=0.5)[-1]
    for vote_filter in ("none", "hmm"):
        before = VoteConfig(segment_hop=1, sharpness=0.5, filter=vote_filter)  # type: ignore[arg-type]
        assert before.sharpness_used == 0.5
    with pytest.raises(ConfigError, match="plain_sharpness: found 20"):
        VoteConfig(segment_hop=1, plain_sharpness=20)


def test_without_a_sharpness_the_confidence_is_the_mean_to_the_last_bit(rng: np.random.Generator) -> None:
    for n in (1, 9, 100):
        posteriors = list(rng.dirichlet(np.ones(4), n).astype(np.float32))
        assert confidence(posteriors, 2, 1.0) == sum(float(p[2]) for p in posteriors) / n


def test_silence_is_left_out_of_the_confidence() -> None:
    verdict = clip_verdict(ballots("rrs"), LABELS)
    assert verdict.share == pytest.approx(2 / 3)
    assert verdict.confidence == pytest.approx(0.7)


def test_before_T_ballots_are_in_more_than_half_of_T_is_needed() -> None:
    assert summary("rrrpp", segments=5) == "warming_up warming_up rock/majority rock/majority rock/majority"
    assert summary("rpjrp", segments=5) == "warming_up warming_up warming_up warming_up refused"


def test_only_the_last_T_ballots_count() -> None:
    last = verdicts("rrrrrppp", segments=5)[-1]
    assert (last.genre, last.votes, last.segments) == ("pop", {"pop": 3, "rock": 2}, 5)


def test_min_share_raises_the_majority() -> None:
    assert majority({"rock": 3, "pop": 2}, total=5, min_share=0.6) == "rock"
    assert majority({"rock": 3, "pop": 2}, total=5, min_share=0.61) is None
    assert majority({"rock": 4, "pop": 1}, total=5, min_share=1.0) is None
    assert majority({"rock": 5}, total=5, min_share=1.0) == "rock"


@given(total=st.integers(1, 1000), data=st.data())
def test_a_share_that_is_just_reached_is_enough_despite_rounding(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(total // 2 + 1, total))
    assert majority({"rock": count}, total=total, min_share=count / total) == "rock"


def test_55_of_100_is_a_share_of_055() -> None:
    assert majority({"rock": 55, "pop": 45}, total=100, min_share=0.55) == "rock"


def test_a_genre_is_announced_after_it_has_won_enter_segments_votes_in_a_row() -> None:
    assert summary("rrrr", segments=1, enter_segments=3) == "refused refused rock/majority rock/majority"
    assert summary("rrprrr", segments=1, enter_segments=3) == "refused refused refused refused refused rock/majority"


def test_an_announced_genre_is_held_until_it_has_failed_exit_segments_votes_in_a_row() -> None:
    # ballots of 2: r.  rr  rp  pj  jp  pr
    # winner:       -   r   -   -   -   -
    found = summary("rrpjpr", segments=2, exit_segments=3)
    assert found == "warming_up rock/majority rock/held rock/held refused refused"


def test_a_win_in_between_restarts_the_count_to_withdrawal() -> None:
    # winner of 2:  -  r  -  -  r  -  -  -
    found = summary("rrprrpjp", segments=2, exit_segments=3)
    assert found == "warming_up rock/majority rock/held rock/held rock/majority rock/held rock/held refused"


def test_another_genre_takes_over_at_once_with_enter_segments_1() -> None:
    assert summary("rp", segments=1, exit_segments=9) == "rock/majority pop/majority"


def test_a_genre_is_withdrawn_after_exit_segments_even_if_no_other_is_announced() -> None:
    found = summary("rrrrpppp", segments=1, enter_segments=4, exit_segments=2)
    assert found == "refused refused refused rock/majority rock/held refused refused pop/majority"


def test_a_held_genre_has_its_own_share() -> None:
    held = verdicts("rrrppjj", segments=5, exit_segments=9)[-1]
    assert held.reason == "held"
    assert held.genre == "rock"
    assert held.share == pytest.approx(1 / 5)
    assert held.votes == {"pop": 2, "jazz": 2, "rock": 1}


def test_silence_is_subject_to_the_same_hysteresis_as_a_genre() -> None:
    assert summary("rrss", segments=1, enter_segments=2, exit_segments=3) == "refused rock/majority rock/held silence"


def test_clear_discards_every_ballot_and_the_announced_genre() -> None:
    vote = MajorityVote(VoteConfig(segment_hop=1, segments=3, exit_segments=1000), LABELS)
    for one in ballots("rrr"):
        vote.add(one)
    vote.clear()
    verdict = vote.add(ballot("pop"))
    assert (verdict.genre, verdict.reason, verdict.votes, verdict.segments) == (None, "warming_up", {"pop": 1}, 1)


@given(
    letters=st.text("rpjns", max_size=40),
    segments=st.integers(1, 7),
    min_share=st.sampled_from([0.5, 0.6, 0.75, 1.0]),
    enter=st.integers(1, 4),
    leave=st.integers(1, 4),
)
def test_the_rolling_vote_agrees_with_a_reference_that_recounts_everything(
    letters: str, segments: int, min_share: float, enter: int, leave: int
) -> None:
    keys = {"segments": segments, "min_share": min_share, "enter_segments": enter, "exit_segments": leave}
    for verdict, expected in zip(verdicts(letters, **keys), reference(letters, **keys), strict=True):  # type: ignore[arg-type]
        assert (verdict.genre, verdict.reason, verdict.votes) == expected


def reference(
    letters: str, *, segments: int, min_share: float, enter_segments: int, exit_segments: int
) -> list[tuple[str | None, str, dict[str, int]]]:
    """Recompute each verdict from the keys' descriptions; the only state is the announced genre."""
    winners: list[str | None] = []
    announced, since = None, 0
    results: list[tuple[str | None, str, dict[str, int]]] = []
    for now in range(1, len(letters) + 1):
        recent = [LETTERS[letter] for letter in letters[max(0, now - segments) : now]]
        counts = Counter(recent)
        won = [x for x in counts if counts[x] > segments / 2 and counts[x] >= min_share * segments]
        winners.append(won[0] if won else None)
        newest = winners[-enter_segments:]
        failed = winners[since:][-exit_segments:]
        if winners[-1] and len(newest) == enter_segments and set(newest) == {winners[-1]}:
            if winners[-1] != announced:
                announced, since = winners[-1], now
        elif announced and len(failed) == exit_segments and announced not in failed:
            announced = None
        reason = "refused" if len(recent) == segments else "warming_up"
        if announced:
            reason = "majority" if winners[-1] == announced else "held"
        if announced in (SILENCE, NOT_MUSIC):
            reason = announced
        results.append((None if announced in (SILENCE, NOT_MUSIC) else announced, reason, dict(counts)))
    return results


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("segments", 0),
        ("segments", 1001),
        ("segment_hop", 0),
        ("min_share", 0.49),
        ("min_share", 1.01),
        ("min_share", float("nan")),
        ("enter_segments", 0),
        ("exit_segments", 0),
        ("exit_segments", 1001),
    ],
)
def test_an_invalid_vote_is_refused_and_the_key_named(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^{key}: found .*, expected .+") as refusal:
        VoteConfig(**({"segment_hop": 1} | {key: value}))  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("segment_hop", [150, 99, 1100])
def test_a_segment_hop_off_the_frames_or_past_the_segment_is_refused(segment_hop: int) -> None:
    with pytest.raises(ConfigError, match=f"^vote.segment_hop: found {segment_hop}"):
        VoteConfig(segment_hop=segment_hop).check_geometry(hop_length=100, segment_samples=1056)


def test_segments_may_follow_each_other_without_overlap() -> None:
    VoteConfig(segment_hop=1000).check_geometry(hop_length=100, segment_samples=1000)
