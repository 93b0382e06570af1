"""The reference of source kinds and their options, read from the table of kinds."""

from docs.scripts.markdown import code, page, table

from genrewatch.sources.kinds import KINDS
from genrewatch.sources.uri import COMMON_KEYS

INTRODUCTION = """\
A source is a URI: `KIND:TARGET?OPTION=VALUE&OPTION=VALUE`. A network stream is a URL, with its options after a `#`:
`SCHEME://HOST/PATH#OPTION=VALUE&OPTION=VALUE`. [Sources](../sources.md) shows an example of each.
"""


def sources_page() -> str:
    """Return the page of source kinds."""
    common = f"Every kind also takes {', '.join(map(code, COMMON_KEYS))}."
    rows = [(code(kind.form), " ".join(map(code, kind.options)) or "-") for kind in KINDS.values()]
    return page("Source kinds", INTRODUCTION, table(("kind", "options"), rows), common)
