"""`genrewatch drill --outages N`: a daemon on clips, whose broker is dead for a while, N times.

Afterwards every spell must have arrived, in order, once, at the pace that is allowed; no state that had been overtaken
may have been said again; and the history must add up, to the second, to the sound that the players really wrote.
"""

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from genrewatch.audio.decoding import read_samples
from genrewatch_drill.campaigns.finding import Figures, Finding
from genrewatch_drill.campaigns.outage_checks import health_s, kept_s, stale_states, too_fast, wrongly_marked
from genrewatch_drill.fakes import PLAYER
from genrewatch_drill.rig.broker import NODE, find_program
from genrewatch_drill.rig.exchange import Exchange
from genrewatch_drill.rig.ledger import audit
from genrewatch_drill.rig.rest import deliver_rest
from genrewatch_drill.rig.snapshot import snapshot
from genrewatch_drill.rig.sounds import RATE, Sounds, s16
from genrewatch_drill.rig.subject import Farewell, Setting, Subject

SOURCES = 3
SPEED = 4.0
BACKFILL_PER_S = 5.0
HEARTBEAT_S, EXPIRE_S = 2, 6
BETWEEN_S = 10.0
"""Of listening before the first outage and after each; less where they are short."""
FROZEN_S = 2.0
"""How long the broker hangs before each outage: what it is told then is lost."""
CAUGHT_UP_S = 90.0
TO_THE_SECOND_S = 1.0
ENDED_S = 60.0

Tell = Callable[[str], None]


class OutageDrill:
    """One run of it."""

    def __init__(self, directory: Path, exchange: Exchange, audio: Sequence[Path]) -> None:
        """`audio` are the clips; without any, the demo programme in pieces."""
        self._directory, self._exchange = directory, exchange
        self._over = directory / "over"
        self.undelivered = 0
        """Records that the daemon passed over, though it had time."""
        self._sounds = Sounds(directory / "sounds")
        self.names = [f"player{number}" for number in range(SOURCES)]
        files = [self._sound(number, audio) for number in range(SOURCES)]
        tables = [self._table(name, file) for name, file in zip(self.names, files, strict=True)]
        mqtt = {"heartbeat_s": HEARTBEAT_S, "expire_after_s": EXPIRE_S}
        history = {"save_s": 2, "backfill_per_s": BACKFILL_PER_S}
        self._setting = Setting(
            sources=tables, vote={"segments": 3}, mqtt=mqtt, history=history, talkative=False, health_s=1
        )

    @property
    def state(self) -> Path:
        """The daemon's state directory."""
        return self._directory / "daemon" / "state"

    def play(self, outages: int, outage_s: float, tell: Tell) -> Farewell:
        """Listens through the outages, until all sources have ended and with them the daemon; how it ended."""
        with Subject(self._directory / "daemon", self._setting, url=self._exchange.url) as subject:
            subject.until_listening()
            between_s = min(BETWEEN_S, 2 * outage_s)
            time.sleep(between_s)
            for number in range(1, outages + 1):
                self._exchange.kill(frozen_s=min(FROZEN_S, outage_s / 2))
                time.sleep(outage_s)
                self._exchange.start()
                took_s = self._catch_up()
                tell(f"  outage {number} of {outage_s:g} s, all delivered {took_s:.0f} s after it")
                time.sleep(between_s)
                subject.check_alive()
            seqs = {receipt.seq for receipt in list(self._exchange.collector.receipts)}
            self.undelivered = max(seqs, default=0) - len(seqs)
            self._over.touch()
            farewell = subject.ended(ENDED_S)
        deliver_rest(self.state, NODE, self._exchange.url)
        return farewell

    def written_s(self, name: str) -> float:
        """Seconds of sound that a player wrote."""
        return float((self._directory / f"{name}.tally").read_text().split()[1])

    def _catch_up(self) -> float:
        """Waits until nothing that had to wait for the broker waits any more; seconds."""
        back, collector = time.monotonic(), self._exchange.collector
        deadline = back + CAUGHT_UP_S
        while time.monotonic() < deadline:
            time.sleep(0.5)
            said = [heard for heard in list(collector.heard) if heard.kind == "health" and heard.at > back]
            if said and said[-1].body["history"]["waiting"] <= len(self.names):
                break
        return time.monotonic() - back

    def _sound(self, number: int, audio: Sequence[Path]) -> Path:
        """The clips in another order for each source, as s16le."""
        if not audio:
            return self._sounds.medley_file(number)
        turned = [*audio[number % len(audio) :], *audio[: number % len(audio)]]
        path = self._directory / f"clips-{number}.s16"
        path.write_bytes(b"".join(s16(read_samples(clip, RATE)) for clip in turned))
        return path

    def _table(self, name: str, sound: Path) -> dict[str, str]:
        words = [sys.executable, "-I", "-S", str(PLAYER), str(self._directory / f"{name}.journal"), str(sound)]
        life = f"tally={self._directory / name}.tally fast={SPEED:g} until={self._over} die"
        return {"id": name, "uri": f"cmd:{shlex.join([*words, str(2 * RATE), life])}?rate={RATE}&restart=never"}


def outage_drill(
    directory: Path, outages: int, *, outage_s: float, audio: Sequence[Path] = (), tell: Tell = lambda line: None
) -> Finding:
    """Listens, and counts; nothing stays running."""
    sound = f"{len(audio)} clips" if audio else "the demo programme"
    title = (
        f"the broker dead {outages} times for {outage_s:g} s, {SOURCES} sources of {sound} at {SPEED:g} times real time"
    )
    if not find_program("mosquitto"):
        return Finding(name="outages", title=title, skipped="mosquitto is not installed")
    began = time.monotonic()
    with Exchange(directory / "broker") as exchange:
        drill = OutageDrill(directory, exchange, audio)
        farewell = drill.play(outages, outage_s, tell)
        now, receipts, heard = snapshot(drill.state, NODE), exchange.collector.receipts, exchange.collector.heard
        found = audit(now.texts, receipts, {seq for _, seq in exchange.gate.accepted()})
    stale, hurried = stale_states(heard, EXPIRE_S), too_fast(receipts, BACKFILL_PER_S)
    unmarked = wrongly_marked(receipts, exchange.outages)
    sums = {name: (drill.written_s(name), kept_s(now.texts.values()), health_s(heard)) for name in drill.names}
    apart_s = max(abs(written - by.get(name, 0.0)) for name, (written, *others) in sums.items() for by in others)
    figures: Figures = {
        "outages": ", ".join(f"{back - killed:.0f} s" for killed, back in exchange.outages),
        **found.figures(),
        "chain whole": "no" if now.wrong else "yes",
        "back-filled": sum(receipt.backfilled for receipt in receipts),
        "back-filled too fast": hurried,
        "marked wrongly": unmarked,
        "passed over": drill.undelivered,
        "states and events received": sum(message.kind in ("state", "event") for message in heard),
        "of these stale": len(stale),
        "written, all sources": f"{sum(written for written, *_ in sums.values()):.1f} s",
        "kept apart from written": f"{apart_s:.3f} s at most, of a source",
        "seconds": round(time.monotonic() - began),
    }
    wrong = [*found.wrong, *stale[:3], *([now.wrong] if now.wrong else [])]
    wrong += [f"{hurried} records back-filled too fast"] if hurried else []
    wrong += [f"{drill.undelivered} records not delivered in time"] if drill.undelivered else []
    wrong += [f"{unmarked} records marked wrongly"] if unmarked else []
    wrong += [f"the history is {apart_s:.1f} s apart from what was written"] if apart_s > TO_THE_SECOND_S else []
    wrong += [f"exit code {farewell.code}"] if farewell.code != 0 else []
    return Finding(name="outages", title=title, figures=figures, wrong=wrong)
