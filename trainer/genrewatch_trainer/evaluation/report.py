"""An evaluation for people: a page of text, the confusion matrices as images and tables."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch_trainer.evaluation.evaluate import Evaluation
from genrewatch_trainer.files import atomic_file, write_csv, write_json


def print_report(evaluation: Evaluation) -> None:
    """Print the metrics and one line per genre."""
    m = evaluation.metrics
    model = f"{evaluation.kind} {evaluation.model}"
    print(f"{model} on {evaluation.split}: {m['n_clips']} clips, {m['n_segments']} segments")
    if evaluation.trained_on is None:
        print("note: the model does not record which clips it was trained on")
    elif evaluation.trained_on:
        print(f"WARNING: the model was trained on {evaluation.trained_on} of these clips")
    print(f"  segment                   {m['segment_accuracy']:.1%}")
    print(f"  segment, calibration      nll {m['segment_nll']:.3f}   ece {m['segment_ece']:.3f}")
    print(f"  clip, mean posterior      {m['clip_accuracy_mean']:.1%}")
    print(f"  clip, majority vote       {m['clip_accuracy_vote']:.1%}   {m['refused']} refused, counted as errors")
    print(f"  clip, vote, where covered {m['accuracy_on_covered']:.1%}   coverage {m['coverage']:.1%}")
    print(f"  verdict, calibration      ece {m['verdict_ece']:.3f}   {m['verdict_ece_by_chance']:.3f} by chance")
    print(f"  {'genre (by vote)':<18}{'precision':>10}{'recall':>10}{'f1':>10}{'support':>10}")
    for genre, row in evaluation.genres.items():
        figures = "".join(f"{row[key]:>10.3f}" for key in ("precision", "recall", "f1"))
        print(f"  {genre:<18}{figures}{row['support']:>10.0f}")


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write evaluation.json, and confusion_vote and confusion_mean as .csv and .png, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "evaluation.json", evaluation.as_json())
    columns = [*evaluation.labels, "refused"]
    for way, table in (("vote", evaluation.confusion_vote), ("mean", evaluation.confusion_mean)):
        pairs = zip(evaluation.labels, table.tolist(), strict=True)
        rows = [{"label": label} | dict(zip(columns, counts, strict=True)) for label, counts in pairs]
        write_csv(folder / f"confusion_{way}.csv", rows)
        draw_confusion(folder / f"confusion_{way}.png", table, evaluation.labels, f"{evaluation.split}, by {way}")


def draw_confusion(path: Path, table: NDArray[np.int64], labels: tuple[str, ...], title: str) -> None:
    """Draw a confusion table (n_labels, n_labels + 1): counts, coloured by their share of the row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        if count:
            ink = "white" if share[row, column] > 0.6 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=ink)
    axes.set_xticks(range(len(labels) + 1), [*labels, "Refused"], rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title)
    with atomic_file(path) as beside:
        figure.savefig(beside, dpi=120)
