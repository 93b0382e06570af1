"""The figures of each epoch, as CSV for programs and as curves for people."""

import csv
from collections.abc import Sequence
from pathlib import Path

from genrewatch_trainer.files import readable, whole_file, write_csv

HISTORY, CURVES = "history.csv", "curves.png"
Row = dict[str, float]


def read_history(run: Path) -> list[Row]:
    """The rows of RUN/history.csv, an epoch each; none where there is no file yet."""
    if not (run / HISTORY).is_file():
        return []
    with readable(run / HISTORY), open(run / HISTORY, encoding="utf-8", newline="") as lines:
        return [{key: float(cell) for key, cell in row.items()} for row in csv.DictReader(lines)]


def write_history(run: Path, rows: Sequence[Row]) -> None:
    """Replaces RUN/history.csv."""
    write_csv(run / HISTORY, rows)


def draw_curves(run: Path, rows: Sequence[Row]) -> None:
    """Draws RUN/curves.png: loss and accuracy by epoch, in training and on the validation part if there is one."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    epochs = [row["epoch"] for row in rows]
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        curves = {quantity: "train", f"val_{quantity}": "valid, segments", f"val_clip_{quantity}": "valid, clips"}
        for key, name in curves.items():
            if key in rows[0]:
                axes.plot(epochs, [row[key] for row in rows], label=name)
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.axes[1].set_ylim(0, 1)
    with whole_file(run / CURVES) as beside:
        figure.savefig(beside, dpi=120)
