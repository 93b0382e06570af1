"""The image of a terminal shows what was printed, as valid XML."""

from xml.etree import ElementTree

from docs.scripts.terminal_svg import terminal_svg

LINES = [
    "15:39:54  demo      online: opened",
    "15:40:09  demo      classical       100 % of 5  confidence 1.00  majority     votes: classical 5",
    "15:41:06  demo      (refused)        44 % of 9  confidence -     refused      votes: disco 4 <&> 3",
]


def texts(svg: str) -> list[str]:
    """Return the text of each line of an image."""
    found = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(text.itertext()).replace("\N{NO-BREAK SPACE}", " ") for text in found]


def test_every_line_is_in_the_image_as_it_was_printed() -> None:
    assert texts(terminal_svg("genrewatch listen", LINES)) == ["$ genrewatch listen", *LINES]


def test_genres_and_refusals_have_colours_of_their_own() -> None:
    svg = terminal_svg("genrewatch listen", LINES)
    assert '<tspan class="g">classical</tspan>' in svg
    assert '<tspan class="n">(refused)</tspan>' in svg


def test_the_image_is_small_and_asks_for_nothing_from_elsewhere() -> None:
    svg = terminal_svg("genrewatch listen", LINES * 5)
    assert len(svg) < 10_000
    assert svg.count("http") == 1  # the name of the format
