"""A child for the soak: sound as fast as it is listened to, and at the end of each life some fault.

    python -I -S soaker.py CREDITS LIVES SOUND BYTES_PER_SECOND LIFE_S SEGMENT_S HOP_S

CREDITS is a FIFO from which a byte can be read for each segment that was classified: no more is written than the next
one needs, so nothing is ever dropped. LIVES is a file that grows by a byte with each life. Sound is s16le mono of RATE
= BYTES_PER_SECOND / 2, in a WAV that says so; every other life pretends to another rate. Standard library only.
"""

import os
import random
import signal
import struct
import sys
import time

SLACK_S = 0.5  # held back by a resampler
NOISE_S = 20.0
ENDS = ("killed", "stalled", "died", "noise", "text")


def wav_header(rate: int) -> bytes:
    """Of a mono 16 bit WAV of unknown length."""
    fmt = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    return b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data\xff\xff\xff\xff"


def write(data: bytes) -> None:
    """All of it."""
    left = memoryview(data)
    while left:
        left = left[os.write(1, left) :]


def main(arguments: list[str]) -> None:
    """Lives one life."""
    credits_path, lives_path, sound_path, *numbers = arguments
    bytes_per_s = int(numbers[0])
    life_s, segment_s, hop_s = map(float, numbers[1:])
    lives = os.open(lives_path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    life = os.fstat(lives).st_size
    os.write(lives, b".")
    rng = random.Random(f"{os.path.basename(lives_path)} {life}")  # so that no two children do the same at once
    how = rng.choice(ENDS)
    if how == "text":
        write(b"this is no sound at all\n" * 100)
        return
    spent = os.open(credits_path, os.O_RDONLY | os.O_NONBLOCK)
    while spent_before(spent):
        pass
    os.set_blocking(spent, True)
    if life % 2:
        bytes_per_s = bytes_per_s * 3 // 2 // 2 * 2
    write(wav_header(bytes_per_s // 2))
    with open(sound_path, "rb") as file:
        sound = file.read()
    at, written_s, allowed_s, end_s = 0, 0.0, segment_s + SLACK_S, life_s * rng.uniform(0.7, 1.3)
    while written_s < end_s:
        n = int((allowed_s - written_s) * bytes_per_s) // 2 * 2
        noisy = how == "noise" and written_s > end_s - NOISE_S
        write(rng.randbytes(n) if noisy else (sound[at : at + n] + sound)[:n])
        at = (at + n) % len(sound)
        written_s = allowed_s
        credit = os.read(spent, 4096)
        allowed_s += hop_s * len(credit)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    while how == "stalled":
        time.sleep(3600)
    sys.exit(how)


def spent_before(spent: int) -> bytes:
    """Credits of an earlier life."""
    try:
        return os.read(spent, 4096)
    except BlockingIOError:
        return b""


if __name__ == "__main__":
    main(sys.argv[1:])
