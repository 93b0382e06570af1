"""Stand-ins for what a test machine lacks, and child programs that misbehave as their arguments say."""

from pathlib import Path

PLAYER = Path(__file__).with_name("player.py")
"""Program: plays a sound file in real time, then misbehaves; run by its path."""
SOAKER = Path(__file__).with_name("soaker.py")
"""Program: writes sound as fast as it is read; run by its path."""
CLOCK = Path(__file__).with_name("clock")
"""Folder for PYTHONPATH: a wall clock that a file sets."""
PORTAUDIO = Path(__file__).with_name("portaudio")
"""Folder for PYTHONPATH: a `sounddevice` whose devices a file lists."""
