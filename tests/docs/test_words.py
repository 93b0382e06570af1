"""The documents use the words of the glossary."""

import re
from pathlib import Path

import pytest
from tests.docs.test_links import CODE, ROOT, documents
from tests.test_words import RETIRED

LAB = {"docs/lab.md", "docs/model.md", "docs/paper/report.md"}


def covered() -> list[Path]:
    """Return the documents without those of the lab."""
    return [path for path in documents() if str(path.relative_to(ROOT)) not in LAB]


@pytest.mark.parametrize("path", covered(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_uses_no_retired_word(path: Path) -> None:
    text = CODE.sub(" ", path.read_text(encoding="utf-8"))
    found = {word for word in re.findall(r"[a-z]+", text.lower()) if word in RETIRED}
    assert not found, ", ".join(f"{word}: {RETIRED[word]}" for word in sorted(found))
