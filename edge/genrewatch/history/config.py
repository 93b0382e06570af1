"""The `[history]` table: whether what was heard is kept, and for how long."""

from dataclasses import dataclass

from genrewatch.contract.errors import require

POSTERIOR_BYTES = 400
"""On disk, of a segment with its posterior and its verdict, rounded up."""


@dataclass(frozen=True, kw_only=True)
class HistoryConfig:
    """What is kept on disk, in the state directory."""

    enabled: bool = True
    """Whether spells are kept, and delivered once the broker is back."""
    keep_days: int = 400
    """Spells older than this are forgotten, 1 to 36500 days."""
    max_mb: int = 256
    """So much of the disk may be used; beyond it the oldest spells are forgotten, 1 to 100000 MB."""
    save_s: float = 15.0
    """A spell that lasts is saved this often, 0.1 to 3600 s: what a power cut can cost of it."""
    backfill_per_s: float = 20.0
    """How many spells a second are delivered after an outage of the broker, 0.1 to 1000."""
    posteriors: int = 0
    """How many of the latest segments to keep the posteriors of, for `genrewatch replay`; half of `max_mb` holds
    1250 of them a megabyte."""

    def __post_init__(self) -> None:
        require(1 <= self.keep_days <= 36_500, "keep_days", self.keep_days, "1 to 36500")
        require(1 <= self.max_mb <= 100_000, "max_mb", self.max_mb, "1 to 100000")
        require(0.1 <= self.save_s <= 3600, "save_s", self.save_s, "0.1 to 3600")
        require(0.1 <= self.backfill_per_s <= 1000, "backfill_per_s", self.backfill_per_s, "0.1 to 1000")
        most = self.max_mb * 1_000_000 // (2 * POSTERIOR_BYTES)
        require(0 <= self.posteriors <= most, "posteriors", self.posteriors, f"0 to {most}, half of max_mb")
