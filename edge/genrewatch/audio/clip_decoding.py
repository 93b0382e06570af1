"""Short sound files decoded by libsndfile in this process: starting ffmpeg takes longer than decoding a clip.

Only whole and undamaged files of formats that give the same samples as ffmpeg: WAV, AIFF, AU and FLAC bit for bit, Ogg
Vorbis within the rounding of float32. All others are left to ffmpeg, which reads more formats and goes on after damage.
"""

import io
from pathlib import Path

from genrewatch.audio.pcm import PcmFormat, is_padded_wav
from genrewatch.contract.errors import ConfigError

HEAD_BYTES = 4096
"""Start of a file that its format is read from."""
MAX_VALUES = 6_000_000
"""Samples of all channels together, 24 MB: a minute in stereo at 48 kHz."""
MAX_REST_BYTES = 4096
"""Bytes that may be left unread at the end: tags, but no further sound."""
_MAGIC = (b"RIFF", b"RF64", b"FORM", b".snd", b"fLaC", b"OggS")
_FORMATS = frozenset({"WAV", "WAVEX", "RF64", "AIFF", "AU", "FLAC", "OGG"})
_LEFT_TO_FFMPEG = frozenset({"OPUS"})  # libsndfile decodes it at 24 kHz


class _SoundFile(io.FileIO):
    """A file in which a seek to an impossible place, for which a damaged header asks, changes nothing.

    An exception would be printed by the callback of libsndfile, which has no other way to report it.
    """

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except OSError:
            return self.tell()


def decode_clip(path: Path) -> tuple[io.BytesIO, PcmFormat] | None:
    """Return the whole sound of a file as raw PCM, or None for a file that is left to ffmpeg."""
    try:
        with _SoundFile(path) as file:
            head = file.read(HEAD_BYTES)
            if head[:4] not in _MAGIC or is_padded_wav(head):
                return None
            file.seek(0)
            return _decoded(file)
    except (OSError, ImportError):  # OSError is also raised by soundfile where libsndfile is not installed
        return None


def _decoded(file: _SoundFile) -> tuple[io.BytesIO, PcmFormat] | None:
    import soundfile

    try:
        with soundfile.SoundFile(file) as sound:
            pcm = PcmFormat(rate=sound.samplerate, channels=sound.channels, encoding="f32le")
            left_out = sound.format not in _FORMATS or sound.subtype in _LEFT_TO_FFMPEG
            if left_out or not 0 < sound.frames * pcm.channels <= MAX_VALUES:
                return None
            samples = sound.read(dtype="float32", always_2d=True)
            whole = len(samples) == sound.frames and _bytes_left(file) <= MAX_REST_BYTES
    except (soundfile.SoundFileError, ConfigError):
        return None
    return (io.BytesIO(samples.astype("<f4", copy=False).tobytes()), pcm) if whole else None


def _bytes_left(file: _SoundFile) -> int:
    return -file.tell() + file.seek(0, io.SEEK_END)
