"""Hook of MkDocs: files of the repository outside `docs/` that pages link to become part of the site.

A page is written for readers of the repository, so its links are relative to its place there, such as
`../deploy/mosquitto.acl`. Here every file that is linked to, directly or through another such page, is added as
`repository/<path>`, and the links are rewritten. A link to a file that does not exist fails a strict build.
"""

import logging
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
FOLDER = "repository"
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)(#[^)\s]*)?(\))")
CODE = re.compile(r"`[^`\n]+`")
"""In a table GitHub wants a bar in code to be escaped, Python-Markdown does not."""
log = logging.getLogger("mkdocs.hooks.repository_links")


def on_files(files: Files, config: Any) -> Files:
    """Add every file of the repository that pages link to, directly or indirectly."""
    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    seen = set(waiting)
    while waiting:
        for path in sorted(set(outside(waiting.pop())) - seen):
            seen.add(path)
            files.append(File.generated(config, site_path(path), abs_src_path=str(ROOT / path)))
            if path.endswith(".md"):
                waiting.append(path)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Rewrite the links of a page to files outside `docs/`, or from such a file back into it; unescape bars in code."""
    here = repository_path(page.file.src_uri)

    def rewritten(match: "re.Match[str]") -> str:
        before, target, anchor, after = match.groups(default="")
        path = resolved(here, target)
        if path is None or (here.startswith("docs/") and path.startswith("docs/")):
            return match[0]
        if not (ROOT / path).is_file():
            log.warning("%s links to %s, which is no file of the repository", here, path)
        relative = posixpath.relpath(site_path(path), posixpath.dirname(page.file.src_uri) or ".")
        return f"{before}{relative}{anchor}{after}"

    return CODE.sub(lambda match: match[0].replace("\\|", "|"), LINK.sub(rewritten, markdown))


def outside(path: str) -> Iterator[str]:
    """Return the existing files outside `docs/` that a document of the repository links to."""
    text = (ROOT / path).read_text(encoding="utf-8")
    targets: Iterable[str | None] = (resolved(path, match[2]) for match in LINK.finditer(text))
    return (target for target in targets if target and not target.startswith("docs/") and (ROOT / target).is_file())


def resolved(here: str, target: str) -> str | None:
    """Return the path in the repository that a link means; None for a web address."""
    if "://" in target or target.startswith(("mailto:", "/")):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(here), target))


def site_path(path: str) -> str:
    """Return the place of a file of the repository among the sources of the site."""
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{FOLDER}/{path}"


def repository_path(source: str) -> str:
    """Return the path in the repository of a source of the site: the inverse of `site_path`."""
    return source.removeprefix(f"{FOLDER}/") if source.startswith(f"{FOLDER}/") else f"docs/{source}"
