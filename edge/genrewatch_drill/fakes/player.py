"""A child process that plays a sound file in real time and then misbehaves, following a script.

    python -I -S player.py JOURNAL SOUND BYTES_PER_SECOND SCRIPT [SCRIPT...]

Each start follows the next script; the last one is repeated. SOUND is raw PCM. A script is a series of steps:

    wav=RATE/CHANNELS            write a WAV header
    play, play=SECONDS           play for ever, or for a time
    until=FILE                   play until FILE exists
    burst=SECONDS                write all at once
    noise=SECONDS                play random bytes
    use=FILE/BYTES_PER_SECOND    change the sound
    fast=SPEED, real             change the speed, return to real time
    pause=SECONDS                write nothing for a time, then go on with the script
    live                         from now on skip the sound of the time in which the process was stopped
    tally=FILE                   from now on keep the seconds written in FILE, 64 bytes per start
    ignore_sigterm               from now on ignore SIGTERM
    text, stall, die             write text and exit, stop writing, exit
    wedge                        stop writing and ignore SIGTERM
    trickle, chunks              write a byte each second, or WAV chunks without sound, without end

The journal receives a JSON line when a script starts, when its first sound is written and when it misbehaves. The
program imports the standard library only.
"""

import json
import os
import signal
import struct
import sys
import time

CHUNK_S = 0.1
LATE_S = 0.5
JUNK = b"JUNK" + struct.pack("<I", 65_536) + bytes(65_536)


class Player:
    """One run of a script."""

    def __init__(self, journal: str, sound: str, bytes_per_s: int) -> None:
        self._journal = os.open(journal, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self.number = os.pread(self._journal, 2**20, 0).count(b'"start"')
        """Earlier starts."""
        self._written_s = 0.0
        self._speed, self._live = 1.0, False
        self._tally: int | None = None
        self._started = time.monotonic()
        self.use(sound, bytes_per_s)

    def use(self, sound: str, bytes_per_s: int) -> None:
        """Play another file from now on."""
        with open(sound, "rb") as file:
            self._sound = file.read()
        self._bytes_per_s, self._position = bytes_per_s, 0

    def note(self, step: str) -> None:
        """Append a line to the journal."""
        entry = {"step": step, "at": time.monotonic(), "pid": os.getpid(), "number": self.number}
        os.write(self._journal, (json.dumps({**entry, "written_s": round(self._written_s, 3)}) + "\n").encode())

    def header(self, rate: int, channels: int) -> None:
        """Write the header of a 16 bit WAV of unknown length."""
        fmt = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
        self._write(b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data\xff\xff\xff\xff")

    def play(self, seconds: float, *, noise: bool = False, at_once: bool = False, until: str = "") -> None:
        """Write sound or noise, in real time or faster."""
        start, done_s = time.monotonic(), 0.0
        while done_s < seconds and not (until and os.path.exists(until)):
            ahead_s = start + done_s / self._speed - time.monotonic()
            if ahead_s > 0 and not at_once:
                time.sleep(ahead_s)
            elif ahead_s < -LATE_S and self._live:
                start -= ahead_s
            n = round(self._bytes_per_s * min(CHUNK_S, seconds - done_s) / 8) * 8
            if self._written_s == 0:
                self.note("sound")
            self._write(os.urandom(n) if noise else self._next(n))
            done_s += CHUNK_S
            self._written_s += n / self._bytes_per_s
            self._update_tally()

    def _update_tally(self) -> None:
        """Write the seconds so far, because the process may be killed at any moment."""
        if self._tally is not None:
            line = f"{self._started:.3f} {self._written_s:.3f}".ljust(63) + "\n"
            os.pwrite(self._tally, line.encode(), 64 * self.number)

    def step(self, step: str) -> None:
        """Carry out one step."""
        name, _, value = step.partition("=")
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
        elif name == "live":
            self._live = True
        elif name == "pause":
            self.note("pause")
            time.sleep(float(value))
            self.note("resume")
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
            self._update_tally()
        elif name == "ignore_sigterm":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        else:
            self.misbehave(name)

    def misbehave(self, step: str) -> None:
        """Carry out the last step of a script."""
        self.note(step)
        if step == "text":
            self._write(b"this is not sound\n" * 100)
            return
        if step == "chunks":
            self._write(b"RIFF\xff\xff\xff\xffWAVE")
        if step == "wedge":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while step in ("trickle", "chunks"):
            self._write(b"x" if step == "trickle" else JUNK)
            time.sleep(1.0 if step == "trickle" else 0.01)
        while step != "die":
            time.sleep(3600)
        sys.exit("the script ends with die")

    def _next(self, n: int) -> bytes:
        piece = self._sound[self._position : self._position + n]
        self._position += n
        while len(piece) < n:
            self._position = n - len(piece)
            piece += self._sound[: self._position]
        return piece

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(1, left) :]


def main(arguments: list[str]) -> None:
    """Follow the script of this start."""
    journal, sound, bytes_per_s, *scripts = arguments
    player = Player(journal, sound, int(bytes_per_s))
    player.note("start")
    try:
        for step in scripts[min(player.number, len(scripts) - 1)].split():
            player.step(step)
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
