"""The printer of changes: one line for each, the reason of a source that has no sound yet included."""

from types import SimpleNamespace

from genrewatch.sinks.printer import ChangePrinter
from genrewatch.sources.source import NO_SOUND_YET


def test_the_reason_follows_after_no_sound_yet_and_later_ones_are_not_printed():
    lines: list[str] = []
    printer = ChangePrinter(SimpleNamespace(put=lines.append))
    for why in (NO_SOUND_YET, "no sound within 20 s of its start (first_sound_s)", "404 Not Found", "server closed"):
        printer.on_availability("mic", False, why)
        printer.on_stalled("mic")
    assert [line.partition("offline: ")[2] for line in lines] == [
        "no sound yet",
        "no sound within 20 s of its start (first_sound_s)",
    ]
