"""What a listener notices: how long until a new genre is announced, how often it flickers, what the day's log says.

A verdict holds from the end of its segment to the end of the next one. What is *said* is a genre, `not_music`,
`silence`, or nothing (refused or warming up); it is right where it is the label of the piece that plays.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from genrewatch.contract.vote import NOT_MUSIC, SILENCE, Ballot, MajorityVote, Verdict, VoteConfig
from genrewatch_trainer.evaluation.programme import Stretch

FALSE_CHANGE_COSTS_S = 10.0
"""What a false change counts for in `score`: as much as this many seconds of a wrong answer."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One segment of a programme, before any vote."""

    start: int
    end: int
    """Samples from the start of the stream; one past the last."""
    ballot: Ballot


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A stretch of the stream in which one piece plays and one thing is said."""

    piece: int
    """Position of the piece in the programme."""
    true: str
    """Its label."""
    said: str | None
    """A genre, `not_music`, `silence`; None = nothing (refused, or warming up)."""
    start: int
    end: int

    @property
    def samples(self) -> int:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True)
class StreamFigures:
    """The figures of one vote on one programme; shares of its time from 0 to 1, None where nothing is to be counted."""

    hours: float
    pieces: int
    announce_median_s: float | None
    """From the start of a music piece until its genre is announced, over those that are announced at all."""
    announce_p95_s: float | None
    """The same, 95th percentile."""
    never_announced: float | None
    """Share of music pieces whose genre is announced at no time while they play."""
    false_changes_per_hour: float
    """Times that something wrong is newly said, or what is right is withdrawn, per hour."""
    right: float
    """Share of time in which what is said is true."""
    wrong: float
    """In which something else is said."""
    refused: float
    """In which nothing is said."""
    airtime_error: float | None
    """Half the sum over labels of |share of the log - true share|, the log being the time when something is said."""
    not_music_recall: float | None
    """Share of the time of speech and noise that is said to be so."""
    music_as_not_music: float | None
    """Share of the time of music that is said to be none."""
    silence_recall: float | None
    segment_accuracy: float | None
    """Of segments that lie in one piece, before any vote."""

    @property
    def score(self) -> float:
        """One number to choose a vote by: right less wrong, a false change counting as `FALSE_CHANGE_COSTS_S`."""
        return self.right - self.wrong - self.false_changes_per_hour * FALSE_CHANGE_COSTS_S / 3600


def revote(heard: Sequence[Heard], vote: VoteConfig, labels: Sequence[str]) -> list[Verdict]:
    """The rolling verdict after each segment, as the pipeline's own vote gives it."""
    counting = MajorityVote(vote, labels)
    return [counting.add(segment.ballot) for segment in heard]


def moments(heard: Sequence[Heard], verdicts: Sequence[Verdict], stretches: Sequence[Stretch]) -> list[Moment]:
    """What is said while each piece plays, from the first sample to the last; neighbours differ."""
    end = stretches[-1].end
    changes: list[tuple[int, str | None]] = [(0, None)]
    for segment, verdict in zip(heard, verdicts, strict=True):
        label = verdict.genre or (verdict.reason if verdict.reason in (SILENCE, NOT_MUSIC) else None)
        if label != changes[-1][1]:
            changes.append((segment.end, label))
    out, at = list[Moment](), 0
    for (start, label), (until, _) in pairwise([*changes, (end, None)]):
        while start < until:
            stretch = stretches[at]
            stop = min(until, stretch.end)
            out.append(Moment(piece=at, true=stretch.label, said=label, start=start, end=stop))
            start, at = stop, at + (stop == stretch.end)
    return out


def figures(
    heard: Sequence[Heard], verdicts: Sequence[Verdict], stretches: Sequence[Stretch], sample_rate: int
) -> StreamFigures:
    """Compares what was said with what was played."""
    course, end = moments(heard, verdicts, stretches), stretches[-1].end
    time = Counter[tuple[str, str | None]]()
    for moment in course:
        time[moment.true, moment.said] += moment.samples
    genres = {s.label for s in stretches} - {SILENCE, NOT_MUSIC}
    music = [i for i, stretch in enumerate(stretches) if stretch.label in genres]
    announced = {m.piece: m.start for m in reversed(course) if m.said == m.true}  # the first of each piece stays
    delays_s = [(announced[i] - stretches[i].start) / sample_rate for i in music if i in announced]
    hours = end / sample_rate / 3600
    right = sum(n for (true, word), n in time.items() if true == word)
    refused = sum(n for (_, word), n in time.items() if word is None)
    return StreamFigures(
        hours=hours,
        pieces=len(stretches),
        announce_median_s=float(np.median(delays_s)) if delays_s else None,
        announce_p95_s=float(np.percentile(delays_s, 95)) if delays_s else None,
        never_announced=1 - len(delays_s) / len(music) if music else None,
        false_changes_per_hour=_false_changes(course) / hours,
        right=right / end,
        wrong=(end - right - refused) / end,
        refused=refused / end,
        airtime_error=_airtime_error(time),
        not_music_recall=_share(time, {NOT_MUSIC}, NOT_MUSIC),
        music_as_not_music=_share(time, genres, NOT_MUSIC),
        silence_recall=_share(time, {SILENCE}, SILENCE),
        segment_accuracy=_segment_accuracy(heard, stretches),
    )


def _false_changes(course: Sequence[Moment]) -> int:
    """Changes inside a piece to something wrong, or away from what is right."""
    inside = [(before, now) for before, now in pairwise(course) if before.piece == now.piece]
    return sum(now.said not in (None, now.true) or before.said == before.true for before, now in inside)


def _share(time: Counter[tuple[str, str | None]], labels: set[str], word: str) -> float | None:
    """Of the time of pieces with these labels, the share in which `word` is said."""
    total = sum(n for (true, _), n in time.items() if true in labels)
    return sum(n for (true, what), n in time.items() if true in labels and what == word) / total if total else None


def _airtime_error(time: Counter[tuple[str, str | None]]) -> float | None:
    played, logged = Counter[str](), Counter[str]()
    for (true, word), n in time.items():
        played[true] += n
        if word is not None:
            logged[word] += n
    if not logged.total():
        return None
    return sum(abs(played[k] / played.total() - logged[k] / logged.total()) for k in played | logged) / 2


def _segment_accuracy(heard: Sequence[Heard], stretches: Sequence[Stretch]) -> float | None:
    right, at = list[bool](), 0
    for segment in heard:
        while at + 1 < len(stretches) and stretches[at].end <= segment.start:
            at += 1
        if segment.end <= stretches[at].end:
            right.append(segment.ballot.label == stretches[at].label)
    return sum(right) / len(right) if right else None
