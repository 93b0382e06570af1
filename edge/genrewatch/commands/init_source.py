"""The question for the sound of `genrewatch config init`: microphones, with the level of the chosen one shown live."""

import time
from contextlib import closing

from genrewatch.audio.level import measure
from genrewatch.commands.prompts import Prompts
from genrewatch.contract.errors import GenrewatchError
from genrewatch.host.untrusted_text import printable
from genrewatch.sources.kinds import parse
from genrewatch.sources.microphone.listing import microphones
from genrewatch.sources.trial import Trial, level_text, try_source
from genrewatch.sources.uri import SourceConfig

DEFAULT = "mic:"
SHOWN_S = 6.0
"""Time that the level is shown live."""
BAR, LOWEST_DBFS = 40, -80.0
ATTEMPTS = 3


def choose_source(prompts: Prompts) -> str:
    """Return the URI of a microphone or of another source, after a look at its level."""
    uris = _microphones()
    for attempt in range(ATTEMPTS):
        uri = _one(prompts, uris)
        try:
            parse(uri)
            _show_level(prompts, uri)
        except GenrewatchError as exc:
            print(exc)
        if attempt == ATTEMPTS - 1 or not prompts.live or prompts.confirm("Is this the right source?", default=True):
            break
    parse(uri)  # a URI that is none is refused at the last attempt
    return uri


def _microphones() -> list[str]:
    """Print the microphones with their numbers; return the URI of each."""
    try:
        found = [device for device in microphones() if device.usable]
    except GenrewatchError as exc:
        print(exc)
        found = []
    for number, device in enumerate(found, start=1):
        print(f"  {number}  {printable(device.name)}{' (default)' if device.default else ''}")
    if not found:
        print("No microphone was found; `mic:` waits for one")
    return [device.source for device in found]


def _one(prompts: Prompts, uris: list[str]) -> str:
    numbers = {str(number): uri for number, uri in enumerate(uris, start=1)}
    choice = "Microphone, by its number, or " if numbers else ""
    answer = prompts.ask(f"{choice}URI of a source (mic:, file:PATH, http://..., demo:)", "1" if numbers else DEFAULT)
    return numbers.get(answer, answer)


def _show_level(prompts: Prompts, uri: str) -> None:
    """Show the level while a person looks on, else measure it once."""
    if not prompts.live:
        print(f"{uri}: {try_source(SourceConfig(uri=uri))}")
        return
    print(f"Level of {uri} for {SHOWN_S:g} s: make some noise")
    end = None
    with closing(Trial(SourceConfig(uri=uri)).blocks()) as blocks:
        for block in blocks:
            end = end or time.monotonic() + SHOWN_S
            if time.monotonic() > end:
                break
            print(f"\r{level_bar(measure(block.samples).dbfs)}\033[K", end="", flush=True)
    print()


def level_bar(dbfs: float | None) -> str:
    """Return a level as a bar and a number."""
    part = 0.0 if dbfs is None else min(1.0, max(0.0, 1 - dbfs / LOWEST_DBFS))
    filled = round(BAR * part)
    return f"[{'#' * filled}{' ' * (BAR - filled)}] {level_text(dbfs)}"
