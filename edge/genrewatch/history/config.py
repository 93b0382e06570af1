"""The `[history]` table of the configuration."""

from dataclasses import dataclass

from genrewatch.contract.errors import require

POSTERIOR_BYTES = 400
"""Disk space of a segment with its posterior and verdict, rounded up."""


@dataclass(frozen=True, kw_only=True)
class HistoryConfig:
    """Settings of the database in the state directory, and of its delivery."""

    enabled: bool = True
    """Store spells, and deliver them once the broker is back."""
    keep_days: int = 400
    """Age at which spells are deleted, 1 to 36500 days."""
    max_mb: int = 256
    """Size of the database at which the oldest spells are deleted, 1 to 100000 MB."""
    save_s: float = 15.0
    """Time between saves of an open spell, 0.1 to 3600 s: the most that a power cut can cost of it."""
    backfill_per_s: float = 20.0
    """Spells delivered per second after an outage of the broker, 0.1 to 1000."""
    posteriors: int = 0
    """Number of latest segments whose posteriors are stored for `genrewatch replay`. Half of `max_mb` is the limit,
    at 1250 segments per megabyte."""

    lag_s: float = 0.0
    """Seconds after which spells are decided, 0 to 120: with the knowledge of the sound that followed, where the vote
    has a filter. 0 keeps the verdicts as they were published."""
    features: int = 0
    """Most feature vectors of a spell that are kept for `genrewatch learn`, 0 to 16; 0 keeps none. No sound: each is
    the mean of a stretch of the spell, about 0.8 kB."""
    features_mb: int = 32
    """Size of all kept features at which the oldest are deleted, 1 to 1000 MB."""

    @property
    def keeps_features(self) -> bool:
        """True if features of spells are kept."""
        return self.enabled and self.features > 0

    def __post_init__(self) -> None:
        require(0 <= self.lag_s <= 120, "lag_s", self.lag_s, "0 to 120")
        require(1 <= self.keep_days <= 36_500, "keep_days", self.keep_days, "1 to 36500")
        require(1 <= self.max_mb <= 100_000, "max_mb", self.max_mb, "1 to 100000")
        require(0.1 <= self.save_s <= 3600, "save_s", self.save_s, "0.1 to 3600")
        require(0.1 <= self.backfill_per_s <= 1000, "backfill_per_s", self.backfill_per_s, "0.1 to 1000")
        most = self.max_mb * 1_000_000 // (2 * POSTERIOR_BYTES)
        require(0 <= self.posteriors <= most, "posteriors", self.posteriors, f"0 to {most}, half of max_mb")
        require(0 <= self.features <= 16, "features", self.features, "0 to 16")
        require(1 <= self.features_mb <= 1000, "features_mb", self.features_mb, "1 to 1000")
