"""A child process for the soak: it writes sound as fast as segments are classified, and ends with a random fault.

    python -I -S soaker.py CREDITS STARTS SOUND BYTES_PER_SECOND LIFETIME_S SEGMENT_S HOP_S

CREDITS is a FIFO that holds a byte for each classified segment: no more is written than the next segment needs, so no
queue overflows. STARTS is a file that grows by a byte with each start. The sound is s16le mono of BYTES_PER_SECOND / 2
Hz as WAV; every second start uses another rate. The program imports the standard library only.
"""

import os
import random
import signal
import struct
import sys
import time

SLACK_S = 0.5
"""Seconds of sound that a resampler may hold back."""
NOISE_S = 20.0
FAULTS = ("killed", "stalled", "died", "noise", "text")


def wav_header(rate: int) -> bytes:
    """Return the header of a mono 16 bit WAV of unknown length."""
    fmt = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    return b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data\xff\xff\xff\xff"


def write(data: bytes) -> None:
    """Write all bytes to standard output."""
    left = memoryview(data)
    while left:
        left = left[os.write(1, left) :]


def main(arguments: list[str]) -> None:
    """Write sound for a random time, then misbehave."""
    credits_path, starts_path, sound_path, *numbers = arguments
    bytes_per_s = int(numbers[0])
    lifetime_s, segment_s, hop_s = map(float, numbers[1:])
    starts = os.open(starts_path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    number = os.fstat(starts).st_size
    os.write(starts, b".")
    rng = random.Random(f"{os.path.basename(starts_path)} {number}")  # different for each child and start
    fault = rng.choice(FAULTS)
    if fault == "text":
        write(b"this is not sound\n" * 100)
        return
    credits_fd = os.open(credits_path, os.O_RDONLY | os.O_NONBLOCK)
    while read_old_credits(credits_fd):
        pass
    os.set_blocking(credits_fd, True)
    if number % 2:
        bytes_per_s = bytes_per_s * 3 // 2 // 2 * 2
    write(wav_header(bytes_per_s // 2))
    with open(sound_path, "rb") as file:
        sound = file.read()
    at, written_s, allowed_s, end_s = 0, 0.0, segment_s + SLACK_S, lifetime_s * rng.uniform(0.7, 1.3)
    while written_s < end_s:
        n = int((allowed_s - written_s) * bytes_per_s) // 2 * 2
        noisy = fault == "noise" and written_s > end_s - NOISE_S
        write(rng.randbytes(n) if noisy else (sound[at : at + n] + sound)[:n])
        at = (at + n) % len(sound)
        written_s = allowed_s
        credit = os.read(credits_fd, 4096)
        allowed_s += hop_s * len(credit)
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    while fault == "stalled":
        time.sleep(3600)
    sys.exit(fault)


def read_old_credits(credits_fd: int) -> bytes:
    """Read the credits of an earlier start; empty when there are none."""
    try:
        return os.read(credits_fd, 4096)
    except BlockingIOError:
        return b""


if __name__ == "__main__":
    main(sys.argv[1:])
