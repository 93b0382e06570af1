"""The results of a drill as lines of text and as a Markdown table."""

from collections.abc import Sequence

from genrewatch_drill.rig.results import Result

HEAD = ("fault", "observed", "recovered after", "lost s", "really lost s", "verdict")


def markdown(results: Sequence[Result]) -> str:
    """Return the table for a Markdown page."""
    rows = [HEAD, ("---",) * len(HEAD), *map(_cells, results)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def line(result: Result) -> str:
    """Return the line of one result."""
    fault, seen, recovered, lost, really_lost, verdict = _cells(result)
    times = f"recovered after {recovered:>6}  " if recovered != "-" else ""
    losses = f"lost {lost} s (really {really_lost})" if lost != "-" else ""
    return f"{verdict:7}  {result.name:14} {fault:40}  {seen}  {times}{losses}".rstrip()


def _cells(result: Result) -> tuple[str, ...]:
    outcome = result.outcome
    recovered = "-" if outcome.recovered_s is None else f"{outcome.recovered_s:.1f} s"
    lost, really_lost = (
        "-" if seconds is None else f"{seconds:.1f}" for seconds in (outcome.lost_s, outcome.really_lost_s)
    )
    return result.fault, outcome.seen, recovered, lost, really_lost, result.verdict
