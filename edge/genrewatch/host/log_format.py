"""The forms of a log line: for people, for systemd's journal, or JSON."""

import json
import logging
from collections.abc import Mapping
from typing import Literal, get_args

from genrewatch.host.times import rfc3339, utc_now
from genrewatch.host.untrusted_text import redact_urls

LogFormat = Literal["text", "journal", "json"]
LOG_FORMATS: tuple[LogFormat, ...] = get_args(LogFormat)
PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Priorities of the journal, see sd-daemon(3)."""


def default_format(environ: Mapping[str, str]) -> LogFormat:
    """Return `journal` where systemd reads standard error, else `text`."""
    return "journal" if "JOURNAL_STREAM" in environ else "text"


def log_formatter(form: LogFormat) -> logging.Formatter:
    """Return the formatter of a form."""
    text = logging.Formatter("genrewatch: %(message)s")
    return {"text": text, "journal": JournalFormatter(), "json": JsonFormatter()}[form]


class JournalFormatter(logging.Formatter):
    """`<4>message`: the journal takes the priority off, and adds the time and the program's name."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record, each with its priority."""
        priority = PRIORITIES.get(record.levelno, 6)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


class JsonFormatter(logging.Formatter):
    """`{"ts": ..., "level": "warning", "message": ...}`, one line a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; a traceback is part of the message."""
        message = redact_urls(super().format(record), keep_path=True)  # before its characters are escaped
        fields = {"ts": rfc3339(utc_now()), "level": record.levelname.lower(), "message": message}
        return json.dumps(fields, ensure_ascii=False)
