"""A sweep: a list of configurations, each trained with each seed, and the table of their metrics.

    recipe = "distilled"            SPEC.toml
    split = "fault_filtered"
    train_parts = ["train"]
    seeds = [0, 1, 2]

    [[runs]]
    name = "no mixup"
    [runs.changes]
    "augmentation.mixup_alpha" = 0.0

Runs are trained one after another, each in DIR/NAME-SEED, and resume after a kill. The table is replaced after each
run, so it can be read meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from genrewatch.contract.decode import decode, read_toml
from genrewatch.contract.errors import require
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.distillation.targets import Targets
from genrewatch_trainer.files import atomic_file, write_csv
from genrewatch_trainer.run import Run
from genrewatch_trainer.training.epoch_log import read_history
from genrewatch_trainer.training.experiment import Experiment
from genrewatch_trainer.training.recipes import Recipe, changed, recipe_named

METRICS = {
    "segment_accuracy": "segment",
    "clip_accuracy_mean": "clip, mean posterior",
    "clip_accuracy_vote": "clip, vote",
    "segment_nll": "nll",
}


@dataclass(frozen=True, kw_only=True)
class SweepRun:
    """One configuration."""

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields of the recipe, by dotted keys, and their values."""
    start_from: str | None = None
    """An earlier run of the list: this one begins with its weights of the same seed."""
    also: bool = True
    """True: train on the extra stores too."""
    note: str = ""
    """A remark for the table."""


@dataclass(frozen=True, kw_only=True)
class SweepSpec:
    """The content of a sweep's file."""

    recipe: str
    split: str
    runs: tuple[SweepRun, ...]
    train_parts: tuple[str, ...] = ("train",)
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        names = [run.name for run in self.runs]
        require(bool(names), "runs", "none", "at least one")
        require(len(set(names)) == len(names), "runs", "a name twice", "different names")
        require(bool(self.seeds) and min(self.seeds) >= 0, "seeds", self.seeds, "at least one, from 0 up")
        for number, run in enumerate(self.runs):
            plain = run.name not in ("", ".", "..") and "/" not in run.name
            require(plain, "runs.name", repr(run.name), "a name that a folder can have")
            earlier = [*names[:number], None]
            require(run.start_from in earlier, "runs.start_from", run.start_from, f"a run before {run.name}")

    def recipe_of(self, run: SweepRun) -> Recipe:
        """Return the recipe with the run's changes; raises ConfigError."""
        return changed(recipe_named(self.recipe), run.changes)


def load_spec(path: Path) -> SweepSpec:
    """Read a sweep's file and check every change in it; raises ConfigError."""
    spec = decode(SweepSpec, read_toml(path), where=str(path))
    for run in spec.runs:
        spec.recipe_of(run)
    return spec


def sweep(
    spec: SweepSpec, store: Store, path: Path, *, extra: Sequence[tuple[Store, float]], targets: Sequence[Targets]
) -> list[dict[str, object]]:
    """Train every run with every seed below `path`, write the table there and return its rows."""
    from genrewatch_trainer.training.fit import fit  # loads Keras

    path.mkdir(parents=True, exist_ok=True)
    done: dict[str, list[Run]] = {}
    for each in spec.runs:
        recipe = spec.recipe_of(each)
        for seed in spec.seeds:
            experiment = Experiment(
                store=store,
                recipe=recipe,
                scheme=spec.split,
                train_parts=spec.train_parts,
                seed=seed,
                extra_stores=tuple(extra) if each.also else (),
                targets=tuple(targets) if recipe.needs_targets else (),
                start=Run.load(_folder(path, each.start_from, seed)) if each.start_from else None,
            )
            folder = _folder(path, each.name, seed)
            run = _finished(folder, recipe) or fit(experiment, folder)
            done.setdefault(each.name, []).append(run)
            rows = [_row(one, done[one.name]) for one in spec.runs if one.name in done]
            _write(path, rows)
    return rows


def _folder(path: Path, name: str, seed: int) -> Path:
    return path / f"{name}-{seed}"


def _finished(folder: Path, recipe: Recipe) -> Run | None:
    """Return the finished run in a folder, or None; `fit` refuses a run of another recipe."""
    if not (folder / "run.json").is_file():
        return None
    run = Run.load(folder)
    return run if run.finished and run.recipe == recipe else None


def _row(each: SweepRun, runs: Sequence[Run]) -> dict[str, object]:
    """Return name, validation metrics as mean and standard deviation over seeds, and the cost of training.

    The metrics are those of the last epoch: no epoch was chosen by the part that they are measured on.
    """
    row: dict[str, object] = {"name": each.name, "seeds": len(runs)}
    for key in METRICS:
        found = [run.record.metrics["valid_last"][key] for run in runs if "valid_last" in run.record.metrics]
        row[key] = round(mean(found), 4) if found else ""
        row[f"{key}_sd"] = round(stdev(found), 4) if len(found) > 1 else ""
    history = read_history(runs[0].path)
    row["seconds"] = round(sum(line["seconds"] for line in history))
    row["epochs"] = len(history)
    row |= runs[0].record.metrics["size"]
    row["start_from"] = each.start_from or ""
    row["note"] = each.note
    return row


def _write(path: Path, rows: Sequence[dict[str, object]]) -> None:
    write_csv(path / "table.csv", rows)
    head = [
        "configuration",
        "seeds",
        *METRICS.values(),
        "epochs",
        "seconds",
        "weights",
        "multiplications",
        "starts from",
        "note",
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        metrics = [_with_spread(row[key], row[f"{key}_sd"]) for key in METRICS]
        rest = [row[key] for key in ("epochs", "seconds", "weights", "multiplications", "start_from", "note")]
        lines.append("| " + " | ".join(map(str, [row["name"], row["seeds"], *metrics, *rest])) + " |")
    with atomic_file(path / "table.md") as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _with_spread(value: object, spread: object) -> str:
    if not isinstance(value, float):
        return "-"
    return f"{value:.3f} ± {spread:.3f}" if isinstance(spread, float) else f"{value:.3f}"
