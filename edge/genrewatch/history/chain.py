"""Each record's hash is chained to the one before it, so that a log can be shown to be whole.

    hash = SHA-256(hash of the record before, a line break, the record as canonical JSON)

Canonical JSON: keys sorted, no spaces, UTF-8, without the fields `prev`, `hash` and `backfilled`.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from genrewatch.contract.compact_json import compact_json

OUTSIDE = ("prev", "hash", "backfilled")
"""Fields of a published record that its hash does not cover."""


def genesis(node: str, first_seq: int) -> str:
    """What stands in the place of a hash before the first record of a database, hexadecimal."""
    return hashlib.sha256(f"genrewatch {node} {first_seq}".encode()).hexdigest()


def record_hash(prev: str, record: Mapping[str, Any]) -> str:
    """The hash of a record that follows one whose hash is `prev`, both hexadecimal."""
    covered = {key: value for key, value in record.items() if key not in OUTSIDE}
    canonical = compact_json(covered, sort_keys=True)
    return hashlib.sha256(f"{prev}\n{canonical}".encode()).hexdigest()
