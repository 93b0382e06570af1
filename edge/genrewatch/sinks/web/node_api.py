"""The part of the API about the node itself: doctor, diagnosis, bundles and corrections."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from genrewatch.contract.errors import DataError
from genrewatch.contract.ids import is_id
from genrewatch.contract.payload import SCHEMA_VERSION
from genrewatch.history.correction_records import present_corrections
from genrewatch.history.corrections import MAX_LABEL, Correction, Corrections, corrections_path, is_label
from genrewatch.history.reader import Selection
from genrewatch.sinks.web.diagnosis import diagnosis_zip, log_text
from genrewatch.sinks.web.doctor import Doctor
from genrewatch.sinks.web.guard import Refused
from genrewatch.sinks.web.history_api import HistoryApi
from genrewatch.sinks.web.live_sources import LiveSources

MAX_BUNDLES = 200
MAX_CORRECTIONS = 2000
"""Newest corrections in an answer."""


@dataclass(frozen=True, kw_only=True)
class Support:
    """Help with problems: the checks, the settings and the log of the daemon."""

    doctor: Doctor = field(default_factory=Doctor)
    config: Callable[[], Mapping[str, Any]] = dict
    """Returns the settings, without secrets."""
    log_lines: Callable[[], Sequence[str]] = list
    """Returns the last lines of the log."""


class NodeApi:
    """Answers about one node; any thread may call any method."""

    def __init__(
        self,
        node: str,
        live: LiveSources,
        history: HistoryApi,
        support: Support,
        *,
        bundles: Path | None,
        health: Callable[[], bytes],
    ) -> None:
        """`bundles` is the directory of the bundles that may be chosen, `health` returns the diagnostics."""
        self._node, self._live, self._history, self._support = node, live, history, support
        self._bundles, self._health = bundles, health

    def doctor(self) -> dict[str, Any]:
        """Return the last result of the checks."""
        return self._fields(**self._support.doctor.result)

    def start_doctor(self, body: Mapping[str, Any]) -> None:
        """Start the checks: `{}`."""
        self._support.doctor.start()

    def diagnosis(self) -> bytes:
        """Return the diagnosis file, a .zip."""
        return diagnosis_zip(
            {
                "config.json": self._support.config(),
                "health.json": json.loads(self._health()),
                "doctor.json": self._support.doctor.result,
                "log.txt": log_text(self._support.log_lines()),
            }
        )

    def bundles(self) -> dict[str, Any]:
        """Return the names of the bundles that may be chosen; none where the configuration allows no other."""
        names = list[str]()
        if self._bundles is not None:
            try:
                found = (path.name for path in self._bundles.iterdir() if (path / "bundle.json").is_file())
                names = sorted(name for name in found if is_id(name))[:MAX_BUNDLES]
            except OSError:  # the directory is absent at present
                names = []
        return self._fields(bundles=names)

    def corrections(self) -> dict[str, Any]:
        """Return the present corrections, the newest of each spell."""
        try:
            with self._history.reader() as reader:
                present = present_corrections(reader.path, reader)[-MAX_CORRECTIONS:]
        except DataError as exc:
            raise Refused("503 Service Unavailable", str(exc)) from None
        return self._fields(corrections=[asdict(made) for made in present])

    def correct(self, body: Mapping[str, Any]) -> None:
        """Keep a correction: `{"source": ID, "seq": NUMBER or null, "label": LABEL or null}`; null is the open spell,
        and a label of null withdraws."""
        source, seq, label = body.get("source"), body.get("seq"), body.get("label")
        if not isinstance(source, str) or source not in dict(self._live.items()):
            raise Refused("404 Not Found", "source: no such source")
        if label is not None and not is_label(label):
            raise Refused("400 Bad Request", f"label: expected 1 to {MAX_LABEL} printable characters, or null")
        if seq is not None and (type(seq) is not int or seq < 1):
            raise Refused("400 Bad Request", "seq: expected the number of a spell, or null")
        corrections = self._corrections()
        spell = self._open_spell(source) if seq is None else self._ended_spell(source, seq)
        try:
            corrections.add(Correction.of_spell(spell, label, "page"))
        except DataError as exc:
            raise Refused("507 Insufficient Storage", str(exc)) from None

    def _corrections(self) -> Corrections:
        if self._history.path is None:
            raise Refused("404 Not Found", "no history is kept: history.enabled is false")
        return Corrections(corrections_path(self._history.path))

    def _ended_spell(self, source: str, seq: int) -> Mapping[str, Any]:
        with self._history.reader() as reader:
            spell = reader.spell(seq)
        if spell is None or spell["source"] != source:
            raise Refused("404 Not Found", "seq: no such spell of this source")
        return spell

    def _open_spell(self, source: str) -> Mapping[str, Any]:
        """Return the spell that goes on now: as it was saved, or as the state has it if that is newer."""
        payload = self._live[source].state
        if payload is None:
            raise Refused("409 Conflict", "source: it has no verdict yet")
        state = json.loads(payload)
        reason = "majority" if state["genre"] is not None else state["reason"]
        with self._history.reader() as reader:
            saved = reader.open_spells(Selection(sources=(source,)))
        for spell in saved:
            if (spell["genre"], spell["reason"]) == (state["genre"], reason):
                return spell
        now = {"source": source, "start": state["since"], "genre": state["genre"], "reason": reason}
        return {**now, "open": True}

    def _fields(self, **fields: Any) -> dict[str, Any]:
        return {"v": SCHEMA_VERSION, "node": self._node, **fields}
