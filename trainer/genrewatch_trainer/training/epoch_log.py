"""The history of a run, a row per epoch: CSV for programs, curves for people."""

import csv
from collections.abc import Sequence
from pathlib import Path

from genrewatch_trainer.files import atomic_file, readable, write_csv

HISTORY, CURVES = "history.csv", "curves.png"
Row = dict[str, float]


def read_history(run: Path) -> list[Row]:
    """Read the rows of RUN/history.csv, one per epoch; none where there is no file yet."""
    if not (run / HISTORY).is_file():
        return []
    with readable(run / HISTORY), open(run / HISTORY, encoding="utf-8", newline="") as lines:
        return [{key: float(cell) for key, cell in row.items()} for row in csv.DictReader(lines)]


def write_history(run: Path, rows: Sequence[Row]) -> None:
    """Replace RUN/history.csv."""
    write_csv(run / HISTORY, rows)


def draw_curves(run: Path, rows: Sequence[Row]) -> None:
    """Draw RUN/curves.png: loss and accuracy by epoch, in training and on the validation part if there is one."""
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
    with atomic_file(run / CURVES) as partial:
        figure.savefig(partial, dpi=120)
