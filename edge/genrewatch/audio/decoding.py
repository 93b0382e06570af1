"""The decoding of sound files, which device and trainer share, so that their features are the same.

Clips are decoded in this process where that gives ffmpeg's samples, all other files by ffmpeg.
"""

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from genrewatch.audio.clip_decoding import HEAD_BYTES, decode_clip
from genrewatch.audio.mix import Channel
from genrewatch.audio.pcm import Block, is_padded_wav, pcm_blocks
from genrewatch.audio.pre_filter import filtered
from genrewatch.audio.resample import Resampler
from genrewatch.contract.errors import SourceError, os_error_reason
from genrewatch.contract.front_end import Samples
from genrewatch.host.limits import DECODER_ADDRESS_SPACE, ChildLimits
from genrewatch.host.process import ChildProcess

EXIT_WAIT_S = 5.0  # for ffmpeg to end after its last byte
ERROR_WAIT_S = 1.0  # for ffmpeg to explain why there is no sound
TO_WAV = ["-map_metadata", "-1", "-bitexact", "-vn", "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]
_NAMES = "aac aif aiff au flac m4a mka mp2 mp3 mp4 oga ogg opus wav webm wma wv"
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
"""Sound files in a folder that is searched; a file that is named is always tried."""


def decode_file(path: Path, channel: Channel = "auto") -> Iterator[Block]:
    """Yield the blocks of a file at its own rate; SourceError when it cannot be read or holds no sound."""
    _check_file(path)
    clip = decode_clip(path)
    if clip is None:
        yield from decode_in_child(path, channel)
    else:
        sound, pcm = clip
        yield from pcm_blocks(sound.read, pcm, where=str(path), channel=channel)


def decode_in_child(path: Path, channel: Channel = "auto") -> Iterator[Block]:
    """Yield the same blocks, of a file that might harm the process that decodes it."""
    _check_file(path)
    if _is_padded_wav(path):
        with path.open("rb") as file:
            yield from pcm_blocks(file.read, None, where=str(path), channel=channel)
        return
    with _decoder(path) as child:
        error, code, empty = None, None, True
        try:
            for block in pcm_blocks(child.stdout.read, None, where=str(path), channel=channel):
                empty = False
                yield block
            code = child.wait(EXIT_WAIT_S)
        except SourceError as exc:
            error = exc  # usually no WAV header came: ffmpeg's last line, if any, explains it
            child.wait(ERROR_WAIT_S)
        child.end(term_wait_s=0.0)
        reason = child.last_line().removeprefix(f"file:{path}:").strip()
    if error and not reason:
        raise error
    if code != 0 or empty:
        raise SourceError(str(path), f"cannot be decoded ({reason or 'no sound in it'})", "a sound file")


def read_samples(path: Path, sample_rate: int) -> Samples:
    """Decode a whole file to (n,) mono float32 at `sample_rate`; SourceError when it cannot be read."""
    resampler, pieces = None, [np.empty(0, np.float32)]
    for block in decode_file(path):
        resampler = resampler or Resampler(block.sample_rate, sample_rate)
        pieces.append(resampler.push(block.samples))
    if resampler:
        pieces.append(resampler.push(np.empty(0, np.float32), last=True))
    return np.concatenate(pieces)


def read_filtered(path: Path, sample_rate: int) -> Samples:
    """Decode a whole file to (n,) samples as the front end takes them: resampled, then through the pre-filter."""
    return filtered(read_samples(path, sample_rate), sample_rate)


def ffmpeg_path() -> str:
    """Return the path of ffmpeg; SourceError when it is not installed."""
    found = shutil.which("ffmpeg")
    if found is None:
        raise SourceError("ffmpeg", "is not installed", "it on the PATH (apt install ffmpeg)")
    return found


def _decoder(path: Path) -> ChildProcess:
    command = [ffmpeg_path(), "-nostdin", "-v", "error", "-i", f"file:{path}", *TO_WAV]
    try:
        return ChildProcess(command, limits=ChildLimits(address_space=DECODER_ADDRESS_SPACE))
    except OSError as exc:
        raise SourceError(command[0], os_error_reason(exc), "a program that can run") from None


def _is_padded_wav(path: Path) -> bool:
    """Return True for a WAV whose samples have fewer valid bits than room (24 in 32), which ffmpeg misreads."""
    try:
        with path.open("rb") as file:
            return is_padded_wav(file.read(HEAD_BYTES))
    except OSError:
        return False


def _check_file(path: Path) -> None:
    try:
        if stat.S_ISREG(path.stat().st_mode):
            return
        found = "not a file"
    except (OSError, ValueError) as exc:
        found = os_error_reason(exc)
    raise SourceError(str(path), found, "a sound file")
