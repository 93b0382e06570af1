"""Figures of a stream: delay until a genre is announced, false changes, errors of the airtime shares.

A verdict holds from the end of its segment to the end of the next one. The *output* is a genre, `not_music`, `silence`,
or none (refused or warming up); it is right if it is the label of the piece that plays.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from genrewatch.contract.filter import Caster
from genrewatch.contract.smoother import FixedLagSmoother, past_verdict
from genrewatch.contract.vote import NOT_MUSIC, SILENCE, Ballot, MajorityVote, Verdict, VoteConfig
from genrewatch_trainer.evaluation.metrics import binned_error
from genrewatch_trainer.evaluation.programme import PieceSpan

FALSE_CHANGE_COSTS_S = 10.0
"""Cost of a false change in `score`, as seconds of wrong output."""


@dataclass(frozen=True, kw_only=True)
class SegmentBallot:
    """One segment of a programme and its ballot."""

    start: int
    end: int
    """Samples from the start of the stream; one past the last."""
    ballot: Ballot
    """Of the segment by itself, without a filter."""


@dataclass(frozen=True, kw_only=True)
class OutputSpan:
    """A part of the stream in which one piece plays and the output is constant."""

    piece: int
    """Position of the piece in the programme."""
    true: str
    """Its label."""
    output: str | None
    """A genre, `not_music` or `silence`; None while refused or warming up."""
    start: int
    end: int

    @property
    def samples(self) -> int:
        """Length in samples."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True)
class StreamFigures:
    """Figures of one vote on one programme; shares of its time from 0 to 1, None where there is nothing to count."""

    hours: float
    pieces: int
    announce_median_s: float | None
    """Time from the start of a music piece until its genre is announced, over those that are announced at all."""
    announce_p95_s: float | None
    """The same, 95th percentile."""
    never_announced: float | None
    """Share of music pieces whose genre is announced at no time while they play."""
    false_changes_per_hour: float
    """Changes to a wrong output or away from a right one, per hour."""
    changes_per_hour: float
    """All changes of the output, right and wrong ones, per hour."""
    music_right: float | None
    """Share of the time of music with the right output."""
    right: float
    """Share of time with the right output."""
    wrong: float
    """Share of time with another output."""
    refused: float
    """Share of time without output."""
    airtime_error: float | None
    """Half the sum over labels of |share of output time - true share|."""
    not_music_recall: float | None
    """Share of the time of speech and noise with output `not_music`."""
    music_as_not_music: float | None
    """Share of the time of music with output `not_music`."""
    silence_recall: float | None
    confidence_error: float | None
    """Expected calibration error of the confidence of verdicts with a genre; None without any."""
    segment_accuracy: float | None
    """Share of right ballots among segments that lie in one piece."""

    @property
    def score(self) -> float:
        """Share of time right less wrong, less `FALSE_CHANGE_COSTS_S` per false change, to choose a vote by."""
        return self.right - self.wrong - self.false_changes_per_hour * FALSE_CHANGE_COSTS_S / 3600


def revote(
    segments: Sequence[SegmentBallot], vote: VoteConfig, labels: Sequence[str], sample_rate: int
) -> list[Verdict]:
    """Return the rolling verdict after each segment, as in the pipeline."""
    counting, caster = MajorityVote(vote, labels), Caster(vote, labels, sample_rate)
    if vote.filter == "none":
        return [counting.add(segment.ballot) for segment in segments]
    return [counting.add(caster.cast(segment.ballot.posterior, segment.start)) for segment in segments]


def past_figures(
    segments: Sequence[SegmentBallot],
    vote: VoteConfig,
    labels: Sequence[str],
    piece_spans: Sequence[PieceSpan],
    sample_rate: int,
    lag_s: float,
) -> StreamFigures:
    """Return the figures of what the history keeps, decided `lag_s` later.

    A spell has the sound that its segments brought: a verdict holds from the end of the segment before its own.
    """
    verdicts = past_verdicts(segments, vote, labels, sample_rate, lag_s)
    ends = [0, *(segment.end for segment in segments[:-1])]
    moved = [replace(segment, end=end) for segment, end in zip(segments, ends, strict=True)]
    return figures(moved, verdicts, piece_spans, sample_rate)


def past_verdicts(
    segments: Sequence[SegmentBallot], vote: VoteConfig, labels: Sequence[str], sample_rate: int, lag_s: float
) -> list[Verdict]:
    """Return the verdict that the history keeps of each segment; without a lag or a filter that which was published."""
    if not lag_s or vote.filter == "none":
        return revote(segments, vote, labels, sample_rate)
    smoother = FixedLagSmoother(vote, labels, sample_rate, lag_s)
    ballots = [past for each in segments for past in smoother.push(each.ballot.posterior, each.start, each.end)]
    return [past_verdict(past.ballot, labels, vote) for past in [*ballots, *smoother.flush()]]


def output_spans(
    segments: Sequence[SegmentBallot], verdicts: Sequence[Verdict], piece_spans: Sequence[PieceSpan]
) -> list[OutputSpan]:
    """Cut the stream wherever the piece or the output changes."""
    end = piece_spans[-1].end
    changes: list[tuple[int, str | None]] = [(0, None)]
    for segment, verdict in zip(segments, verdicts, strict=True):
        label = verdict.genre or (verdict.reason if verdict.reason in (SILENCE, NOT_MUSIC) else None)
        if label != changes[-1][1]:
            changes.append((segment.end, label))
    out, at = list[OutputSpan](), 0
    for (start, label), (until, _) in pairwise([*changes, (end, None)]):
        while start < until:
            piece_span = piece_spans[at]
            stop = min(until, piece_span.end)
            out.append(OutputSpan(piece=at, true=piece_span.label, output=label, start=start, end=stop))
            start, at = stop, at + (stop == piece_span.end)
    return out


def figures(
    segments: Sequence[SegmentBallot], verdicts: Sequence[Verdict], piece_spans: Sequence[PieceSpan], sample_rate: int
) -> StreamFigures:
    """Compare the output with the pieces."""
    course, end = output_spans(segments, verdicts, piece_spans), piece_spans[-1].end
    time = Counter[tuple[str, str | None]]()
    for output_span in course:
        time[output_span.true, output_span.output] += output_span.samples
    genres = {s.label for s in piece_spans} - {SILENCE, NOT_MUSIC}
    music = [i for i, piece_span in enumerate(piece_spans) if piece_span.label in genres]
    announced = {m.piece: m.start for m in reversed(course) if m.output == m.true}  # the first of each piece stays
    delays_s = [(announced[i] - piece_spans[i].start) / sample_rate for i in music if i in announced]
    hours = end / sample_rate / 3600
    right = sum(n for (true, word), n in time.items() if true == word)
    refused = sum(n for (_, word), n in time.items() if word is None)
    return StreamFigures(
        hours=hours,
        pieces=len(piece_spans),
        announce_median_s=float(np.median(delays_s)) if delays_s else None,
        announce_p95_s=float(np.percentile(delays_s, 95)) if delays_s else None,
        never_announced=1 - len(delays_s) / len(music) if music else None,
        false_changes_per_hour=_false_changes(course) / hours,
        changes_per_hour=sum(before.output != now.output for before, now in pairwise(course)) / hours,
        music_right=_music_right(time, genres),
        right=right / end,
        wrong=(end - right - refused) / end,
        refused=refused / end,
        airtime_error=_airtime_error(time),
        not_music_recall=_share(time, {NOT_MUSIC}, NOT_MUSIC),
        music_as_not_music=_share(time, genres, NOT_MUSIC),
        silence_recall=_share(time, {SILENCE}, SILENCE),
        confidence_error=_confidence_error(segments, verdicts, piece_spans),
        segment_accuracy=_segment_accuracy(segments, piece_spans),
    )


def _false_changes(course: Sequence[OutputSpan]) -> int:
    """Count changes inside a piece to a wrong output, or away from the right one."""
    inside = [(before, now) for before, now in pairwise(course) if before.piece == now.piece]
    return sum(now.output not in (None, now.true) or before.output == before.true for before, now in inside)


def _share(time: Counter[tuple[str, str | None]], labels: set[str], word: str) -> float | None:
    """Return the share of `word` in the time of pieces with these labels."""
    total = sum(n for (true, _), n in time.items() if true in labels)
    return sum(n for (true, what), n in time.items() if true in labels and what == word) / total if total else None


def _music_right(time: Counter[tuple[str, str | None]], genres: set[str]) -> float | None:
    total = sum(n for (true, _), n in time.items() if true in genres)
    return sum(n for (true, word), n in time.items() if true in genres and word == true) / total if total else None


def _confidence_error(
    segments: Sequence[SegmentBallot], verdicts: Sequence[Verdict], piece_spans: Sequence[PieceSpan]
) -> float | None:
    """Compare each confidence with what is played at the end of the segment."""
    ends = [span.end for span in piece_spans]
    pairs = [
        (verdict.confidence, verdict.genre == piece_spans[bisect_left(ends, segment.end)].label)
        for segment, verdict in zip(segments, verdicts, strict=True)
        if verdict.confidence is not None
    ]
    if not pairs:
        return None
    confidence, right = zip(*pairs, strict=True)
    return binned_error(np.array(confidence, np.float32), np.array(right))


def _airtime_error(time: Counter[tuple[str, str | None]]) -> float | None:
    rendered, logged = Counter[str](), Counter[str]()
    for (true, word), n in time.items():
        rendered[true] += n
        if word is not None:
            logged[word] += n
    if not logged.total():
        return None
    return sum(abs(rendered[k] / rendered.total() - logged[k] / logged.total()) for k in rendered | logged) / 2


def _segment_accuracy(segments: Sequence[SegmentBallot], piece_spans: Sequence[PieceSpan]) -> float | None:
    right, at = list[bool](), 0
    for segment in segments:
        while at + 1 < len(piece_spans) and piece_spans[at].end <= segment.start:
            at += 1
        if segment.end <= piece_spans[at].end:
            right.append(segment.ballot.label == piece_spans[at].label)
    return sum(right) / len(right) if right else None
