"""The majority vote with refusal (the paper's eq. 2) over the last T segments, with hysteresis for what is announced.

    ballots  rock rock pop rock silence  ->  rock 3 of 5  ->  majority
    ballots  rock rock pop pop  jazz     ->  nobody has more than half  ->  refused

Each key does one thing: `segments` (T) is how far back the vote looks, `min_share` how large the majority must be,
`enter_segments` and `exit_segments` how many votes in a row it takes to announce a genre and to withdraw it.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import ConfigError, require

Reason = Literal["majority", "held", "refused", "silence", "not_music", "warming_up", "stalled"]
Posterior = NDArray[np.float32]

SILENCE = "silence"
NOT_MUSIC = "not_music"


@dataclass(frozen=True, kw_only=True)
class VoteConfig:
    """How segments become a verdict. Defaults travel in the bundle; a user may override each."""

    segments: int = 9
    """T: ballots that count, 1 to 1000."""
    segment_hop: int
    """Samples between the starts of neighbouring segments, a multiple of the front end's hop_length."""
    min_share: float = 0.5
    """Share of T that a winner needs, 0.5 to 1; always more than half, so 0.5 is eq. 2 as it stands."""
    enter_segments: int = 1
    """Votes in a row that a genre must win before it is announced, 1 to 1000."""
    exit_segments: int = 1
    """Votes in a row that an announced genre must fail to win before it is withdrawn, 1 to 1000."""
    sharpness: float = 1.0
    """Power of the ballots' mean posterior in `confidence`, 0.1 to 10. It belongs to the network: segments of one piece
    agree more than they are sure, so that a verdict is right more often than their mean says."""

    def __post_init__(self) -> None:
        require(1 <= self.segments <= 1000, "segments", self.segments, "1 to 1000")
        require(self.segment_hop >= 1, "segment_hop", self.segment_hop, "at least 1 sample")
        require(
            0.5 <= self.min_share <= 1,
            "min_share",
            self.min_share,
            "0.5 to 1 (below a half two genres could win at once, above 1 none ever can)",
        )
        require(1 <= self.enter_segments <= 1000, "enter_segments", self.enter_segments, "1 to 1000")
        require(1 <= self.exit_segments <= 1000, "exit_segments", self.exit_segments, "1 to 1000")
        require(0.1 <= self.sharpness <= 10, "sharpness", self.sharpness, "0.1 to 10")

    def check_geometry(self, *, hop_length: int, segment_samples: int) -> None:
        """Raises ConfigError unless segments start on frames and leave no samples unheard between them."""
        require(
            self.segment_hop % hop_length == 0,
            "vote.segment_hop",
            self.segment_hop,
            f"a multiple of hop_length {hop_length}",
        )
        require(
            self.segment_hop <= segment_samples,
            "vote.segment_hop",
            self.segment_hop,
            f"at most a segment ({segment_samples} samples), or sound would pass unheard",
        )


@dataclass(frozen=True, kw_only=True)
class VoteOverrides:
    """What a user changes of a vote: each key replaces the bundle's default; see `VoteConfig` for their meaning."""

    segments: int | None = None
    """T, ballots that count."""
    segment_hop: int | None = None
    """Samples between segments at the bundle's rate."""
    min_share: float | None = None
    """Share that a winner needs, 0.5 to 1."""
    enter_segments: int | None = None
    """Wins in a row before a genre is announced."""
    exit_segments: int | None = None
    """Misses in a row before it is withdrawn."""

    def apply(self, defaults: VoteConfig) -> VoteConfig:
        """The vote to hold; ConfigError on an impossible one."""
        try:
            return replace(defaults, **{key: value for key, value in vars(self).items() if value is not None})
        except ConfigError as exc:
            raise ConfigError(f"vote.{exc.where}", exc.found, exc.expected) from None


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """One segment's vote: its label and the posterior behind it; silence votes for `SILENCE` and has no posterior."""

    label: str
    posterior: Posterior | None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the vote says after a segment."""

    genre: str | None
    """The announced genre; None when refused, silent, not music or warming up."""
    reason: Reason
    """Why: `majority`; `held` = no majority now, not yet withdrawn; `refused` = nobody has the majority, or not yet for
    `enter_segments` votes in a row; `silence`; `not_music`; `warming_up` = fewer than T ballots yet."""
    share: float
    """Ballots for the announced genre, or else for the leading label, over all ballots that count, 0 to 1."""
    confidence: float | None
    """Calibrated probability that the announced genre is right, see `confidence`; None without a genre."""
    votes: dict[str, int] = field(default_factory=dict)
    """Ballots by label, most first."""
    segments: int = 0
    """Ballots that count: T, or fewer while warming up."""


class MajorityVote:
    """Rolling vote over the last T ballots."""

    def __init__(self, config: VoteConfig, labels: Sequence[str]) -> None:
        self._config, self._labels = config, tuple(labels)
        self._ballots: deque[Ballot] = deque(maxlen=config.segments)
        self._announced: str | None = None
        self._winner: str | None = None
        self._won = self._missed = 0

    def add(self, ballot: Ballot) -> Verdict:
        """Counts one segment and says what is announced now."""
        self._ballots.append(ballot)
        winner = majority(_count(self._ballots), total=self._config.segments, min_share=self._config.min_share)
        self._won = self._won + 1 if winner == self._winner else 1
        self._winner = winner
        self._missed = 0 if winner == self._announced else self._missed + 1
        if winner is not None and self._won >= self._config.enter_segments:
            self._announced, self._missed = winner, 0
        elif self._missed >= self._config.exit_segments:
            self._announced, self._missed = None, 0
        return self._verdict(self._announced, winner)

    def clear(self) -> None:
        """Forgets everything, as after a gap in the sound: what was heard before says nothing about now."""
        self._ballots.clear()
        self._announced = self._winner = None
        self._won = self._missed = 0

    def _verdict(self, announced: str | None, winner: str | None) -> Verdict:
        filled = len(self._ballots) == self._config.segments
        refusal: Reason = "refused" if filled else "warming_up"
        held, sharpness = announced != winner, self._config.sharpness
        return _verdict(self._ballots, self._labels, announced, held=held, refusal=refusal, sharpness=sharpness)


def clip_verdict(
    ballots: Sequence[Ballot], labels: Sequence[str], min_share: float = 0.5, sharpness: float = 1.0
) -> Verdict:
    """Eq. 2 over all segments of a clip: the label with more than half of the votes, else refused."""
    if not ballots:
        return Verdict(genre=None, reason="warming_up", share=0.0, confidence=None)
    winner = majority(_count(ballots), total=len(ballots), min_share=min_share)
    return _verdict(ballots, labels, winner, held=False, refusal="refused", sharpness=sharpness)


def confidence(posteriors: Sequence[Posterior], label: int, sharpness: float) -> float:
    """What ballots of posteriors (n_labels,) say together for a label: mean ** sharpness, brought to a sum of 1.

    Sharpness 1 leaves the mean as it is, to the last bit: verdicts recorded before there was one follow still.
    """
    mean = np.stack(posteriors).mean(axis=0, dtype=np.float64)
    if sharpness == 1:
        return float(mean[label])
    sharpened = mean**sharpness
    return float(sharpened[label] / sharpened.sum())


def majority(votes: dict[str, int], *, total: int, min_share: float = 0.5) -> str | None:
    """The label with strictly more than half of `total` votes and at least `min_share` of them, else None (eq. 2)."""
    for label, count in votes.items():
        if 2 * count > total and count / total >= min_share:  # a quotient is exact where 0.55 * 100 > 55
            return label
    return None


def _count(ballots: Sequence[Ballot] | deque[Ballot]) -> dict[str, int]:
    return dict(Counter(ballot.label for ballot in ballots).most_common())


def _verdict(
    ballots: Sequence[Ballot] | deque[Ballot],
    labels: Sequence[str],
    announced: str | None,
    *,
    held: bool,
    refusal: Reason,
    sharpness: float,
) -> Verdict:
    votes = _count(ballots)
    leading = votes[announced] if announced in votes else 0 if announced else max(votes.values())
    share = leading / len(ballots)
    if announced in (None, SILENCE, NOT_MUSIC):
        reason: Reason = refusal if announced is None else "silence" if announced == SILENCE else "not_music"
        return Verdict(genre=None, reason=reason, share=share, confidence=None, votes=votes, segments=len(ballots))
    heard = [ballot.posterior for ballot in ballots if ballot.posterior is not None]
    return Verdict(
        genre=announced,
        reason="held" if held else "majority",
        share=share,
        confidence=confidence(heard, labels.index(announced), sharpness) if heard else None,
        votes=votes,
        segments=len(ballots),
    )
