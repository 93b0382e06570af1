"""JSON without spaces, as records, payloads and hooks carry it."""

import json
from collections.abc import Mapping
from typing import Any


def compact_json(fields: Mapping[str, Any], *, sort_keys: bool = False) -> str:
    """Encode fields as one line of JSON, non-ASCII text as it is; ValueError for NaN and infinity."""
    return json.dumps(fields, ensure_ascii=False, allow_nan=False, sort_keys=sort_keys, separators=(",", ":"))
