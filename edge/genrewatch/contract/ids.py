"""Ids that are levels of a topic: of nodes, sources and the base topic."""

import re

ID_CHARACTERS = "1 to 64 letters, digits, _ and -"


def is_id(text: str) -> bool:
    """Return True if `text` can be a level of a topic and part of a Home Assistant id."""
    return re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text) is not None
