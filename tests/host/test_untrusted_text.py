"""Text from outside: one printable line, without the secrets of its URLs."""

import pytest

from genrewatch.contract.errors import ConfigError
from genrewatch.host.shell_words import split_command
from genrewatch.host.untrusted_text import decode_line, one_line, redact_urls


def test_bytes_of_unknown_encoding_become_one_short_printable_line():
    assert decode_line("Straße \x1b[31m&amp; B\n".encode()) == "Straße [31m& B"
    assert decode_line("Straße".encode("latin-1")) == "Straße"
    assert len(decode_line(b"x" * 10_000)) == 200
    assert one_line(" a\tb\r\n\x07c ") == "a b c"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:s3cret@ntfy.example:8443/t0pic?auth=t0ken, sorry", "https://ntfy.example:8443 sorry"),
        ("from http://[::1]:80/x to rtsp://h/y", "from http://[::1]:80 to rtsp://h"),
        ("no address here", "no address here"),
    ],
)
def test_a_url_in_an_error_is_reduced_to_scheme_and_host(text, shown):
    assert redact_urls(text) == shown


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:p@ss@host:8000/live.mp3?token=abc&x=1", "http://...@host:8000/live.mp3?token=...&x=..."),
        ("http://host/live.mp3#stall_s=5", "http://host/live.mp3#stall_s=5"),
        ("cmd:ffmpeg -i rtsp://u:p@cam/1 -f wav -", "cmd:ffmpeg -i rtsp://...@cam/1 -f wav -"),
        ("file:/music/what?=1.flac", "file:/music/what?=1.flac"),
        ("mic:Blue Yeti", "mic:Blue Yeti"),
        ("http://me:secret@[broken/x", "http://...@[broken/x"),
    ],
)
def test_a_source_uri_keeps_its_path_and_loses_login_and_query_values(uri, shown):
    assert redact_urls(uri, keep_path=True) == shown


def test_a_command_is_split_as_in_a_shell():
    assert split_command("say 'it is quiet' $HOME", "command") == ["say", "it is quiet", "$HOME"]


@pytest.mark.parametrize(
    ("command", "found"), [("", "no command"), ("''", "no command"), ("x 's3cret", "no closing"), ("x\0", "NUL")]
)
def test_a_command_that_cannot_run_is_refused_without_its_arguments(command, found):
    with pytest.raises(ConfigError, match=f"^cmd:: .*{found}.*, expected a program and its arguments") as caught:
        split_command(command, "cmd:")
    assert "s3cret" not in str(caught.value)
