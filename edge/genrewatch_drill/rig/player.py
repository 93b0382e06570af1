"""Sources that are players (`fakes/player.py`): their command, their URI and the tally of what they have written."""

import shlex
import sys
from pathlib import Path

from genrewatch_drill.fakes import PLAYER
from genrewatch_drill.rig.sounds import RATE


def player_command(journal: Path, sound: Path, *scripts: str, bytes_per_s: int = 2 * RATE) -> list[str]:
    """Return the command of a player that follows the next script each time it is started."""
    return [sys.executable, "-I", "-S", str(PLAYER), str(journal), str(sound), str(bytes_per_s), *scripts]


def command_uri(command: list[str], options: str = f"rate={RATE}") -> str:
    """Return the URI of a source whose child process is a command; `options` name its format."""
    return f"cmd:{shlex.join(command)}?{options}"


def read_tally(tally: Path) -> list[tuple[float, float]]:
    """Return (start on the monotonic clock, seconds written) of each run of a player with a `tally=` step."""
    if not tally.exists():
        return []
    lines = tally.read_text(errors="replace").replace("\0", " ").splitlines()
    return [(float(start), float(written_s)) for start, written_s in map(str.split, filter(str.strip, lines))]
