"""The whole reproduction: fit what is missing, use again what is there, write the report.

store, plan -> fits (REPORT/runs) -> outcomes -> table II -> summary.json -> PNGs -> report.md
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genrewatch.contract.errors import ConfigError, DataError

if TYPE_CHECKING:
    from genrewatch_trainer.data.store import Store
    from genrewatch_trainer.reproduce.outcomes import Outcome
    from genrewatch_trainer.reproduce.plan import PlannedFit

TABLE_II, REPORT = "table_ii", "report"


def reproduce(
    store_path: Path, report: Path, *, seeds: int, epochs: int, audio: Path | None, only: tuple[str, ...] | None = None
) -> None:
    """Fit the parts named in `only` (None: all), then write the report of all that is there.

    Raises ConfigError for an unknown part or a folder that holds other runs, DataError for data that do not fit.
    """
    from genrewatch_trainer.data.store import Store
    from genrewatch_trainer.reproduce.outcomes import finished, fit_planned
    from genrewatch_trainer.reproduce.plan import PARTS, planned_fits

    wanted = set(only or (*PARTS, TABLE_II))
    if unknown := sorted(wanted - {*PARTS, TABLE_II, REPORT}):
        raise ConfigError("--only", f"found {unknown[0]}", "of " + ", ".join((*PARTS, TABLE_II, REPORT)))
    store = Store.load(store_path)
    plan = planned_fits(store.index, seeds=seeds, epochs=epochs, audio=audio is not None)
    if missing := sorted(wanted & set(PARTS) - {e.part for e in plan}) if only else []:
        raise ConfigError(
            "--only", f"found {missing[0]}", "--audio" if missing[0] == "audio" else "a split of the store"
        )
    sounds = _audio_store(audio, report, store) if audio else None
    outcomes = {}
    for e in plan:
        source = sounds if e.part == "audio" and sounds else store
        found = finished(e, report, source)
        if found is None and e.part in wanted:
            print(f"{e.name}: fit on {e.scheme} {', '.join(e.train_parts)}, seed {e.seed}", flush=True)
            fit_planned(e, report, source)
            found = finished(e, report, source)
        if found is not None:
            outcomes[e.name] = found
    _write(store, plan, outcomes, report, audio, compute_table_ii=TABLE_II in wanted)


def _audio_store(audio: Path, report: Path, store: "Store") -> "Store":
    """Return the store of the sound files through the paper's front end; it is made once."""
    from genrewatch.contract.front_end import PAPER
    from genrewatch_trainer.data.prepare import prepare
    from genrewatch_trainer.data.store import Store

    path = report / "stores" / "audio"
    if not path.exists():
        prepare(audio, path, PAPER, splits=None, jobs=-1)
    sounds = Store.load(path)
    if sounds.index.provenance != f"prepare {audio.name}":
        raise ConfigError("--audio", f"found {audio.name}", f"that of {path}: {sounds.index.provenance}")
    if sounds.index.labels != store.index.labels:
        raise DataError(str(audio), "found genres " + " ".join(sounds.index.labels), " ".join(store.index.labels))
    return sounds


def _write(
    store: "Store",
    plan: "Sequence[PlannedFit]",
    outcomes: "Mapping[str, Outcome]",
    report: Path,
    audio: Path | None,
    *,
    compute_table_ii: bool,
) -> None:
    from genrewatch_trainer.files import atomic_file, write_json
    from genrewatch_trainer.reproduce.baselines import table_ii
    from genrewatch_trainer.reproduce.draw import draw_all
    from genrewatch_trainer.reproduce.report import page
    from genrewatch_trainer.reproduce.summary import complete, rounds_of, summarise

    done = complete(plan, outcomes)
    rounds = rounds_of(done, outcomes)
    compared = [e for e in plan if e.part in ("random", "fault_filtered", "artist")]
    summary = summarise(store, plan, done, rounds, table_ii(compared, report, store, compute=compute_table_ii), report)
    write_json(report / "summary.json", summary)
    draw_all(store, done, rounds, report, audio)
    command = f"genrewatch-train reproduce {store.path.name} -o {report.name}" + (
        f" --audio {audio.name}" if audio else ""
    )
    with atomic_file(report / "report.md") as beside:
        beside.write_text(page(summary, command, [path.name for path in report.glob("*.png")]), encoding="utf-8")
