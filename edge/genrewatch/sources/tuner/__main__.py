"""`python -I -m genrewatch.sources.tuner`: find a station and become the ffmpeg that decodes it.

The task comes as JSON on standard input, so that no login appears in the list of processes.
"""

import ctypes
import json
import os
import shutil
import signal
import sys
from typing import Any

from genrewatch.sources.tuner.addresses import ascii_url, reach_of
from genrewatch.sources.tuner.connection import Access, Tls
from genrewatch.sources.tuner.ffmpeg_input import FfmpegInput
from genrewatch.sources.tuner.search import Search

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become ffmpeg, or exit with one line that explains why not."""
    task = json.loads(sys.stdin.buffer.read())
    _end_with_parent()
    try:
        program = shutil.which("ffmpeg")
        if program is None:
            raise OSError("ffmpeg is not installed")
        url = ascii_url(task["url"])
        access = Access(
            reach=reach_of(url, private=task["private"]),
            tls=Tls(verify=task["tls_verify"], ca_file=task["ca_file"]),
            agent=task["agent"],
        )
        found = Search(access, set(task["failed"]), task["charset"], _print).find(url)
        _become(program, found, task["output"])
    except (OSError, ValueError) as exc:
        sys.exit(f"[error] tuner: {_reason(exc)}")


def _become(program: str, source: FfmpegInput, output: list[str]) -> None:
    """Replace this process by ffmpeg, after forking the one that serves it."""
    reader, writer = os.pipe()
    os.write(writer, source.stdin)
    if source.serve and os.fork() == 0:
        os.close(reader)
        _serve(source, writer)
    os.close(writer)
    os.dup2(reader, 0)
    os.close(reader)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # which Python ignores, and ffmpeg would inherit
    words = [program, "-nostdin", "-nostats", "-hide_banner", "-loglevel", "level+verbose"]
    os.execv(program, [*words, *source.words, *output])


def _serve(source: FfmpegInput, writer: int) -> Any:
    """Serve ffmpeg, the parent, until the sound or ffmpeg ends; never returns."""
    _end_with_parent()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the pipe of the sound is ffmpeg's
    try:
        assert source.serve
        source.serve(writer)
    except BrokenPipeError:
        pass  # ffmpeg has ended, and says why
    except (OSError, ValueError) as exc:
        _print(f"[error] tuner: {_reason(exc)}")
    os._exit(0)


def _end_with_parent() -> None:
    """Have Linux end this process with its parent, also once it is ffmpeg."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _reason(exc: Exception) -> str:
    text = (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or type(exc).__name__
    return text.splitlines()[0]


if __name__ == "__main__":
    main()
