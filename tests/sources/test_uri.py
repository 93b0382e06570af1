"""Source URIs are read strictly, and a question mark in a command stays in the command."""

import pytest

from genrewatch.contract.errors import GenrewatchError, SourceError
from genrewatch.sources.kinds import open_sources, parse
from genrewatch.sources.uri import SourceConfig


@pytest.mark.parametrize(
    ("text", "kind", "target", "options"),
    [
        ("mic:", "mic", "", {}),
        ("mic:Blue Yeti", "mic", "Blue Yeti", {}),
        ("mic:Yeti?id=kitchen", "mic", "Yeti", {"id": "kitchen"}),
        ("file:/a/b.flac?pace=max", "file", "/a/b.flac", {"pace": "max"}),
        ("file:/a/what?.flac", "file", "/a/what?.flac", {}),
        ("file:/a/what?=1.flac", "file", "/a/what?=1.flac", {}),
        (
            "stdin:?rate=44100&channels=2&format=s16le",
            "stdin",
            "",
            {"rate": "44100", "channels": "2", "format": "s16le"},
        ),
        ("cmd:arecord -f cd -t wav", "cmd", "arecord -f cd -t wav", {}),
        ("cmd:ffmpeg -i http://radio/x?a=b -f wav -", "cmd", "ffmpeg -i http://radio/x?a=b -f wav -", {}),
        (
            "cmd:ffmpeg -i http://radio/x?a=b -f wav -?restart=never",
            "cmd",
            "ffmpeg -i http://radio/x?a=b -f wav -",
            {"restart": "never"},
        ),
        ("auto", "auto", "", {}),
    ],
)
def test_a_uri_is_parsed(text, kind, target, options):
    uri = parse(text)
    assert (uri.kind, uri.target, uri.options) == (kind, target, options)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("microphone", "not a source"),
        ("gopher://camera", "not a source"),
        ("mic:Yeti?rate=44100", "unknown option rate"),
        ("file:x.wav?pace=slow", "expected pace=real or max"),
        ("file:", "no path"),
        ("cmd:", "no command"),
        ("cmd:'unclosed", "no closing quotation"),
        ("stdin:?channels=2", "raw PCM without its rate"),
        ("stdin:?rate=fast", "expected rate=NUMBER"),
        ("stdin:?rate=44100&format=mp3", "expected format=s16le"),
        ("stdin:?rate=10", "rate"),
        ("demo:?id=a/b", "letters, digits"),
    ],
)
def test_a_wrong_uri_is_one_error_line_with_the_expected_form(text, words):
    with pytest.raises(GenrewatchError) as caught:
        open_sources([SourceConfig(uri=text)])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sources_of_one_kind_are_numbered_and_given_ids_are_kept():
    uris = ["demo:", "demo:", "demo:?id=demo3", "demo:", "cmd:cat"]
    assert [s.id for s in open_sources([SourceConfig(uri=u) for u in uris])] == [
        "demo",
        "demo2",
        "demo3",
        "demo4",
        "cmd",
    ]


def test_an_id_given_twice_is_refused():
    with pytest.raises(SourceError, match="a second time"):
        open_sources([SourceConfig(uri="demo:", id="a"), SourceConfig(uri="demo:", id="a")])
