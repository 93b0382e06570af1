"""The three forms of a log line."""

import json
import logging

import pytest

from genrewatch.host.log_format import LOG_FORMATS, default_format, log_formatter


def record(level, text, *arguments):
    return logging.LogRecord("genrewatch", level, "x.py", 1, text, arguments, None)


@pytest.mark.parametrize("form", LOG_FORMATS)
def test_each_form_holds_the_message(form):
    line = log_formatter(form).format(record(logging.WARNING, "%s: no sound", "bar"))
    expected = {
        "text": "genrewatch: bar: no sound",
        "journal": "<4>bar: no sound",
        "json": json.loads(line)["message"] if form == "json" else "",
    }
    assert expected[form] in (line, "bar: no sound")


def test_each_line_of_a_traceback_has_the_priority_of_the_journal():
    assert log_formatter("journal").format(record(logging.ERROR, "a\nb")) == "<3>a\n<3>b"


def test_json_is_one_line_without_logins():
    line = log_formatter("json").format(record(logging.ERROR, "a\nhttp://user:secret@host/x"))
    fields = json.loads(line)
    assert fields["level"] == "error"
    assert "secret" not in line
    assert "\n" not in line


def test_the_journal_is_the_default_where_it_reads():
    assert default_format({"JOURNAL_STREAM": "8:1"}) == "journal"
    assert default_format({}) == "text"
