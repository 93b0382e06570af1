"""An evaluation on a programme for people: the figures, a timeline, and the trade-off of a grid of votes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genrewatch.contract.decode import encode
from genrewatch.contract.vote import VoteConfig
from genrewatch_trainer.evaluation.programme import PieceSpan, Programme
from genrewatch_trainer.evaluation.stream import StreamEvaluation, Trial, trial_rows
from genrewatch_trainer.evaluation.stream_figures import StreamFigures, output_spans
from genrewatch_trainer.files import atomic_file, write_csv, write_json

ROWS_SHOWN = 15
LINE_S = 600
"""Length of a line of the timeline, seconds."""
COLUMNS = {
    "filter": "filter",
    "expected_duration_s": "lasts s",
    "segment_weight": "weight",
    "segments": "T",
    "segment_hop": "hop",
    "enter_segments": "enter",
    "exit_segments": "exit",
    "min_share": "share",
    "score": "score",
    "music_right": "music",
    "right": "right",
    "wrong": "wrong",
    "refused": "refused",
    "announce_median_s": "median s",
    "announce_p95_s": "p95 s",
    "never_announced": "never",
    "changes_per_hour": "chg/h",
    "false_changes_per_hour": "false/h",
    "airtime_error": "airtime",
    "not_music_recall": "talk",
}


def print_stream(evaluation: StreamEvaluation) -> None:
    """Print the figures, a line each."""
    found, vote = evaluation.figures, evaluation.vote
    print(
        f"{evaluation.bundle}: {found.hours:.2f} h, {found.pieces} pieces, T {vote.segments}, hop {vote.segment_hop}, "
        f"enter {vote.enter_segments}, exit {vote.exit_segments}, min_share {vote.min_share:g}, {_filter(vote)}"
    )
    for name, text in _lines(found):
        print(f"  {name:<34}{text}")
    for lag_s, kept in evaluation.history.items():
        print(f"what the history keeps, decided after {lag_s:g} s:")
        for name, text in _lines(kept):
            print(f"  {name:<34}{text}")


def print_grid(trials: Sequence[Trial]) -> None:
    """Print the best rows of the table."""
    print("  ".join(f"{name:>8}" for name in COLUMNS.values()))
    for row in trial_rows(trials[:ROWS_SHOWN]):
        print("  ".join(f"{_cell(row[key]):>8}" for key in COLUMNS))
    if len(trials) > ROWS_SHOWN:
        print(f"... and {len(trials) - ROWS_SHOWN} more, worse by score")


def write_stream(
    evaluation: StreamEvaluation, programme: Programme, piece_spans: Sequence[PieceSpan], folder: Path
) -> None:
    """Write stream.json, programme.json (which can be played again) and timeline.png into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "stream.json", evaluation.as_json())
    write_json(folder / "programme.json", encode(programme))
    _draw_timeline(folder / "timeline.png", evaluation, piece_spans)


def write_grid(trials: Sequence[Trial], folder: Path) -> None:
    """Write grid.csv and grid.png into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "grid.csv", trial_rows(trials))
    _draw_grid(folder / "grid.png", trials)


def _lines(found: StreamFigures) -> list[tuple[str, str]]:
    return [
        ("genre announced after", f"{_seconds(found.announce_median_s)} median, {_seconds(found.announce_p95_s)} p95"),
        ("genre never announced", _percent(found.never_announced)),
        ("changes per hour, false ones", f"{found.changes_per_hour:.1f}, {found.false_changes_per_hour:.1f}"),
        ("music's time right", _percent(found.music_right)),
        ("time right, wrong, refused", " ".join(map(_percent, (found.right, found.wrong, found.refused)))),
        ("airtime shares off by", _percent(found.airtime_error)),
        ("not-music recall", f"{_percent(found.not_music_recall)}, of music {_percent(found.music_as_not_music)}"),
        ("silence recall", _percent(found.silence_recall)),
        ("calibration error of confidence", _percent(found.confidence_error)),
        ("segments right, before the vote", _percent(found.segment_accuracy)),
        ("score", f"{found.score:.3f}"),
    ]


def _filter(vote: VoteConfig) -> str:
    if vote.filter == "none":
        return "no filter"
    return f"filter {vote.filter}: lasts {vote.expected_duration_s:g} s, weight {vote.segment_weight:g}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _draw_timeline(path: Path, evaluation: StreamEvaluation, piece_spans: Sequence[PieceSpan]) -> None:
    """Draw two bands per line, the pieces above the output, in the colour of the label; no output is white."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    course = output_spans(evaluation.segments, evaluation.verdicts, piece_spans)
    rate = piece_spans[-1].end / (evaluation.figures.hours * 3600)
    labels = sorted({m.true for m in course} | {m.output for m in course if m.output})
    palette = {label: colormaps["tab20"](i % 20) for i, label in enumerate(labels)}
    n_lines = int(piece_spans[-1].end / rate // LINE_S) + 1
    figure = Figure(figsize=(14, 1 + 0.9 * n_lines), layout="constrained")
    every = figure.subplots(n_lines, 1, squeeze=False)[:, 0]
    for line, axes in enumerate(every):
        for output_span in course:
            start, end = output_span.start / rate - line * LINE_S, output_span.end / rate - line * LINE_S
            if end <= 0 or start >= LINE_S:
                continue
            axes.barh(1, end - start, left=start, height=0.9, color=palette[output_span.true])
            if output_span.output:
                axes.barh(0, end - start, left=start, height=0.9, color=palette[output_span.output])
        axes.set_xlim(0, LINE_S)
        axes.set_yticks([0, 1], ["output", "played"])
        axes.set_ylabel(f"{line * LINE_S // 60} min")
    every[-1].set_xlabel("seconds")
    handles = [Patch(color=colour, label=label) for label, colour in palette.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(8, len(handles)))
    with atomic_file(path) as beside:
        figure.savefig(beside, dpi=100)


def _draw_grid(path: Path, trials: Sequence[Trial]) -> None:
    """Plot false changes against the delay of announcements, coloured by the share of time that is right."""
    from matplotlib.figure import Figure

    shown = [(s, trial) for trial in trials if (s := trial.figures.announce_median_s) is not None]
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    dots = axes.scatter(
        [seconds for seconds, _ in shown],
        [trial.figures.false_changes_per_hour for _, trial in shown],
        c=[trial.figures.right for _, trial in shown],
        s=14,
    )
    figure.colorbar(dots, label="share of time right")
    if shown:
        seconds, best = shown[0]
        text = (
            f"T {best.vote.segments}, hop {best.vote.segment_hop}, {best.vote.enter_segments}/{best.vote.exit_segments}"
        )
        at = (seconds, best.figures.false_changes_per_hour)
        axes.annotate(f"best score: {text}", at, textcoords="offset points", xytext=(12, 12), arrowprops={"width": 1})
    axes.set_xlabel("seconds until a genre is announced, median")
    axes.set_ylabel("false changes per hour")
    axes.grid(alpha=0.3)
    with atomic_file(path) as beside:
        figure.savefig(beside, dpi=120)
