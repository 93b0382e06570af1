"""A child that plays a sound file in real time and then misbehaves as it is told, a life at a time.

    python -I -S player.py JOURNAL SOUND BYTES_PER_SECOND LIFE [LIFE...]

SOUND is raw PCM or, where a life begins with `wav=RATE/CHANNELS`, gets a header. Each start takes the next life; the
last one is lived again and again. A life is steps: `play` or `play=SECONDS`, `burst=SECONDS` (all at once),
`fast=SPEED` and `real` (from here on), `use=FILE/BYTES_PER_SECOND`, `noise=SECONDS`, `text`, `stall`, `wedge` (stall,
and ignore SIGTERM), `deaf` (ignore SIGTERM from here on), `until=FILE` (play until there is such a file), `tally=FILE`
(from here on, keep there how much has been written, 64 bytes a life) and `die`. The journal gets a JSON line when a
life starts, when its first sound is written and when it does wrong. It knows nothing of genrewatch: standard library
only.
"""

import json
import os
import signal
import struct
import sys
import time

CHUNK_S = 0.1


class Player:
    """One life."""

    def __init__(self, journal: str, sound: str, bytes_per_s: int) -> None:
        self._journal = os.open(journal, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self.life = os.pread(self._journal, 2**20, 0).count(b'"start"')
        self._sounded_s = 0.0
        self._speed = 1.0
        self._tally: int | None = None
        self._started = time.monotonic()
        self.use(sound, bytes_per_s)

    def use(self, sound: str, bytes_per_s: int) -> None:
        """Takes another file from here on."""
        with open(sound, "rb") as file:
            self._sound = file.read()
        self._bytes_per_s, self._at = bytes_per_s, 0

    def say(self, what: str) -> None:
        """A line in the journal."""
        entry = {"what": what, "at": time.monotonic(), "pid": os.getpid(), "life": self.life}
        os.write(self._journal, (json.dumps({**entry, "sounded_s": round(self._sounded_s, 3)}) + "\n").encode())

    def header(self, rate: int, channels: int) -> None:
        """The header of a 16 bit WAV of unknown length."""
        fmt = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
        self._write(b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data\xff\xff\xff\xff")

    def play(self, seconds: float, *, noise: bool = False, at_once: bool = False, until: str = "") -> None:
        """Sound or noise, in real time or faster."""
        start, done_s = time.monotonic(), 0.0
        while done_s < seconds and not (until and os.path.exists(until)):
            ahead_s = start + done_s / self._speed - time.monotonic()
            if ahead_s > 0 and not at_once:
                time.sleep(ahead_s)
            n = round(self._bytes_per_s * min(CHUNK_S, seconds - done_s) / 8) * 8
            if self._sounded_s == 0:
                self.say("sound")
            self._write(os.urandom(n) if noise else self._next(n))
            done_s += CHUNK_S
            self._sounded_s += n / self._bytes_per_s
            self._note()

    def _note(self) -> None:
        """Keeps the tally of this life, which may end at any moment."""
        if self._tally is not None:
            line = f"{self._started:.3f} {self._sounded_s:.3f}".ljust(63) + "\n"
            os.pwrite(self._tally, line.encode(), 64 * self.life)

    def step(self, word: str) -> None:
        """One step of a life."""
        name, _, value = word.partition("=")
        if name == "play":
            self.play(float(value) if value else float("inf"))
        elif name == "burst":
            self.play(float(value), at_once=True)
        elif name == "noise":
            self.play(float(value), noise=True)
        elif name == "fast":
            self._speed = float(value)
        elif name == "real":
            self._speed = 1.0
        elif name == "use":
            path, _, bytes_per_s = value.rpartition("/")
            self.use(path, int(bytes_per_s))
        elif name == "wav":
            rate, _, channels = value.partition("/")
            self.header(int(rate), int(channels))
        elif name == "until":
            self.play(float("inf"), until=value)
        elif name == "tally":
            self._tally = os.open(value, os.O_RDWR | os.O_CREAT, 0o644)
            self._note()
        elif name == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        else:
            self.misbehave(name)

    def misbehave(self, how: str) -> None:
        """The end of a life."""
        self.say(how)
        if how == "text":
            self._write(b"this is no sound at all\n" * 100)
            return
        if how == "wedge":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while how != "die":
            time.sleep(3600)
        sys.exit("the player dies as it was told")

    def _next(self, n: int) -> bytes:
        piece = self._sound[self._at : self._at + n]
        self._at += n
        while len(piece) < n:
            self._at = n - len(piece)
            piece += self._sound[: self._at]
        return piece

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(1, left) :]


def main(arguments: list[str]) -> None:
    """Lives one life."""
    journal, sound, bytes_per_s, *lives = arguments
    player = Player(journal, sound, int(bytes_per_s))
    player.say("start")
    try:
        for word in lives[min(player.life, len(lives) - 1)].split():
            player.step(word)
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
