"""genrewatch on the device: sound in, verdicts out."""

__version__ = "0.2.0"
