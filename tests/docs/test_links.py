"""Links between the documents of the repository lead somewhere, and the README stays short."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def documents() -> list[Path]:
    """Return every Markdown file of the repository."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "edge").rglob("*.md")]
    return sorted(path for path in found if "scripts" not in path.parts)


def links(path: Path) -> Iterator[str]:
    """Return what a document links to, without web addresses."""
    text = CODE.sub("", path.read_text(encoding="utf-8"))
    return (target for target in LINK.findall(text) if "://" not in target and not target.startswith("mailto:"))


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub and MkDocs make them."""
    found: set[str] = set()
    for heading in re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?s)```.*?```", "", path.read_text(encoding="utf-8"))):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-"))
    return found


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_is_dead(path: Path) -> None:
    for link in links(path):
        target, _, anchor = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(there), f"{link} has no such heading"


def test_the_readme_is_at_most_150_lines_and_shows_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") <= 150
    assert "\nmake run " in text
    assert "\nmake test " in text


def test_every_make_target_that_documents_name_exists() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    for path in documents():
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            assert target in targets, f"{path.name}: make {target}"


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md", "docs/sources.md", "docs/mqtt.md"])
def test_every_path_that_a_document_names_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for path in re.findall(r"`((?:edge|trainer|export|tests|docs|deploy)/[\w/.-]+)`", text):
        assert (ROOT / path).exists() or "NAME" in path, path


def test_the_architecture_names_every_room_of_the_device() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [path.parent.name for path in (ROOT / "edge" / "genrewatch").glob("*/__init__.py")]
    assert rooms
    assert [name for name in rooms if f"`edge/genrewatch/{name}/`" not in text] == []
