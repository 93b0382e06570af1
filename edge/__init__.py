"""genrewatch on the device: sound in, verdicts out."""

__version__ = "0.1.0"
