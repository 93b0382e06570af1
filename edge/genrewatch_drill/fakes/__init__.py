"""Fakes of hardware that a test machine lacks, and child programs that misbehave on request."""

from pathlib import Path

PLAYER = Path(__file__).with_name("player.py")
"""A program, run by its path: plays a sound file in real time, then misbehaves."""
SOAKER = Path(__file__).with_name("soaker.py")
"""A program, run by its path: writes sound as fast as it is read."""
CLOCK = Path(__file__).with_name("clock")
"""A directory for PYTHONPATH: a wall clock that a file sets."""
PORTAUDIO = Path(__file__).with_name("portaudio")
"""A directory for PYTHONPATH: a `sounddevice` whose devices a file lists."""
