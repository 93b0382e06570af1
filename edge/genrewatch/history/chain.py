"""The hash chain of the records: each hash covers the hash before it, so a change or a missing record is detected.

    hash = SHA-256(previous hash, a line break, the record as canonical JSON)

Canonical JSON: keys sorted, no spaces, UTF-8, without the fields `prev`, `hash`, `backfilled` and `corrected`.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from genrewatch.contract.compact_json import compact_json

NOT_COVERED = ("prev", "hash", "backfilled", "corrected")
"""Fields of a printed or published record that its hash does not cover."""


def genesis(node: str, first_seq: int) -> str:
    """Return the hexadecimal value that stands for the previous hash of a database's first record."""
    return hashlib.sha256(f"genrewatch {node} {first_seq}".encode(errors="surrogatepass")).hexdigest()


def record_hash(prev: str, record: Mapping[str, Any]) -> str:
    """Return the hexadecimal hash of a record that follows one with the hash `prev`; ValueError if it holds NaN."""
    covered = {key: value for key, value in record.items() if key not in NOT_COVERED}
    canonical = compact_json(covered, sort_keys=True)
    return hashlib.sha256(f"{prev}\n{canonical}".encode()).hexdigest()
