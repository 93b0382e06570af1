"""Verdicts in words for displays: `Hip hop`, `Not music`, `Warming up`. Keys such as `hiphop` stay for programs."""

from collections.abc import Sequence

LABEL_TEXTS = {"hiphop": "Hip hop", "not_music": "Not music"}
"""Texts of labels that do not follow from the label."""
REASON_TEXTS = {
    "refused": "Uncertain",
    "unknown": "Unknown music",
    "silence": "Silence",
    "not_music": "Not music",
    "warming_up": "Warming up",
    "stalled": "No sound",
    "off": "Switched off",
}
"""Texts of the reasons without a genre."""
HOME_ASSISTANT_STATES = ("unknown", "unavailable", "none")
"""Words that Home Assistant reserves for states of its own."""


def label_text(label: str) -> str:
    """Return a label in words."""
    text = LABEL_TEXTS.get(label) or label[:1].upper() + label[1:].replace("_", " ")
    return f"{text} genre" if text.lower() in HOME_ASSISTANT_STATES else text


def verdict_text(genre: str | None, reason: str) -> str:
    """Return the genre in words, or else the reason why there is none."""
    return REASON_TEXTS.get(reason, REASON_TEXTS["refused"]) if genre is None else label_text(genre)


def verdict_texts(labels: Sequence[str]) -> list[str]:
    """Return every text that a verdict over `labels` can have, without repetition."""
    return list(dict.fromkeys([*map(label_text, labels), *REASON_TEXTS.values()]))
