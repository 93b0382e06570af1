"""The distance from the training music: computed by hand, averaged over segments, and what it does to a ballot."""

import numpy as np
import pytest

from genrewatch.contract.errors import ConfigError
from genrewatch.contract.out_of_set import AVERAGED, MeanDistance, NearestCentre, OutOfSet, counted, mean_distances
from genrewatch.contract.summary import FeatureSummary
from genrewatch.contract.vote import NOT_MUSIC, SILENCE, UNKNOWN, Ballot, MajorityVote, VoteConfig

CENTRES = np.array([[1, 10, 7], [3, 30, 7]], np.float32)


def nearest(centres: np.ndarray = CENTRES) -> NearestCentre:
    shares = np.full(len(centres), 1 / len(centres), np.float32)
    return NearestCentre(FeatureSummary(centres=centres, labels=np.zeros(len(centres), np.int16), shares=shares))


def test_the_distance_is_the_mean_of_squares_in_units_of_the_spread():
    found = nearest().distances(np.array([[1, 10, 7], [3, 30, 7], [2, 20, 7], [5, 30, 7], [1, 60, 7]], np.float32))
    assert found == pytest.approx([0, 0, 2 / 3, 4 / 3, 13 / 3], abs=1e-5)  # the spreads are 1, 10 and nearly 0


def test_a_feature_that_never_changes_or_a_single_centre_gives_finite_distances():
    assert nearest().distances(np.array([[1, 10, 7.01]], np.float32))[0] == pytest.approx(1 / 3, rel=1e-3)
    assert nearest(np.zeros((1, 3), np.float32)).distances(np.ones((1, 3), np.float32)) == pytest.approx([1])


def test_the_mean_is_that_of_the_latest_segments():
    assert mean_distances(np.array([1, 3], np.float32)) == [1, 2]
    mean = MeanDistance()
    assert [mean.add(value) for value in [100.0] * AVERAGED + [0.0] * AVERAGED][-1] == 0
    mean.clear()
    assert mean.add(7) == 7


@pytest.mark.parametrize(
    ("label", "becomes"), [("rock", UNKNOWN), (NOT_MUSIC, NOT_MUSIC), (SILENCE, SILENCE), (UNKNOWN, UNKNOWN)]
)
def test_only_music_becomes_unknown(label: str, becomes: str):
    ballot = Ballot(label=label, posterior=None)
    assert counted(ballot, distance=9.0, far=True) == Ballot(label=becomes, posterior=None, distance=9.0)
    assert counted(ballot, distance=1.0, far=False).label == label


def test_a_majority_of_unknown_ballots_is_a_verdict_with_a_reason_of_its_own():
    vote = MajorityVote(VoteConfig(segment_hop=1, segments=3), ("rock",))
    rock = Ballot(label="rock", posterior=np.ones(1, np.float32))
    far = counted(rock, distance=9.0, far=True)
    found = [vote.add(ballot) for ballot in (rock, rock, far, far, rock, rock)]
    genres, reasons = [v.genre for v in found], [v.reason for v in found]
    assert genres == [None, "rock", "rock", None, None, "rock"]
    assert reasons == ["warming_up", "majority", "majority", "unknown", "unknown", "majority"]
    assert found[3].votes == {"unknown": 2, "rock": 1}
    assert found[3].confidence is None


@pytest.mark.parametrize("threshold", [0, -1, 1e9])
def test_an_impossible_threshold_is_refused(threshold: float):
    with pytest.raises(ConfigError, match="threshold"):
        OutOfSet(threshold=threshold)
