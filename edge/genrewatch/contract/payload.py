"""Parts that all published JSON shares: the version of its schemas and how numbers are rounded."""

import math

SCHEMA_VERSION = 1
"""Field `v` of every payload and record, see `edge/genrewatch/schema/`."""


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Return `value` rounded; None stays None, and NaN and infinities, which JSON lacks, become None."""
    return None if value is None or not math.isfinite(value) else round(value, digits)
