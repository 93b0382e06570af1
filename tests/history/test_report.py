"""`genrewatch report`: listening time is divided without loss and without double counting, whatever the boundaries."""

import csv
import io
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.history.rig import spell

from genrewatch.cli import main
from genrewatch.history.database import database_path
from genrewatch.history.reports.calendar_bins import bin_start, calendar_bins
from genrewatch.history.reports.report import NO_GENRE, build_report, fill_gaps
from genrewatch.history.spell import SpellKey
from genrewatch.history.store import HistoryStore
from genrewatch.host.times import Timestamp, local_time, ms_to_rfc3339, rfc3339_to_ms

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [ZoneInfo(n) for n in ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Asia/Beirut")]
ST_JOHNS = ZoneInfo("America/St_Johns")
YEAR = rfc3339_to_ms("2026-01-01T00:00:00Z")
pytestmark = pytest.mark.usefixtures("berlin")


def of(start, seconds, genre="rock", *, reason=None, dead_air=False, heard=None, lost=0.0, step=0.0, source="mic"):
    """A spell from a UTC time on, with `heard` seconds of sound (default all); the wall clock steps by `step`."""
    begin = rfc3339_to_ms(f"2026-{start}Z")
    made = spell(genre, source=source)
    made.key = SpellKey(genre=genre, reason=reason or ("majority" if genre else "refused"), dead_air=dead_air)
    made.start = Timestamp(utc_ms=begin, mono_s=1000.0)
    made.end = Timestamp(utc_ms=begin + round(1000 * (seconds + step)), mono_s=1000.0 + seconds)
    made.received_ms, made.lost_ms = round(1000 * (seconds - lost if heard is None else heard)), round(1000 * lost)
    made.clock_step_s = step
    return made


def divided(spells, by="hour", zone=BERLIN, **limits):
    return build_report([one.fields() for one in spells], by, zone=zone, **limits)


def amounts(row):
    """Milliseconds by column, without zeros."""
    return {key: ms for key, ms in {**row.genres, **row.others}.items() if ms}


def times(found, zone=BERLIN):
    return [f"{local_time(row.start_ms, zone):%m-%d %H:%M}" for row in found.rows]


def test_each_spell_is_counted_in_its_column():
    found = divided(
        [
            of("11-24T12:00:00", 10, "rock", lost=2.5),
            of("11-24T12:01:00", 20, "jazz"),
            of("11-24T12:02:00", 30, None, reason="silence"),
            of("11-24T12:03:00", 40, None, reason="silence", dead_air=True),
            of("11-24T12:04:00", 50, None, reason="not_music"),
            of("11-24T12:05:00", 60, None, reason="refused"),
            of("11-24T12:06:00", 7, None, reason="warming_up"),
            of("11-24T12:07:00", 80, None, reason="stalled", heard=0, lost=80),
            of("11-24T12:09:00", 9, "rock", dead_air=True),
        ]
    )
    assert amounts(found.total) == {
        "rock": 7500, "jazz": 20_000, "silence": 30_000, "dead_air": 49_000, "not_music": 50_000, "refused": 60_000,
        "warming_up": 7000,
        "lost": 82_500,
    }  # fmt: skip
    assert found.total.listened_ms == 306_000
    assert found.genres == ["jazz", "rock"]  # most airtime first
    assert found.others == list(NO_GENRE)


def test_a_spell_across_hours_is_divided_in_proportion_to_time():
    found = divided([of("11-24T11:50:00", 7200, "rock", lost=1200)])
    assert times(found) == ["11-24 12:00", "11-24 13:00", "11-24 14:00"]
    assert [amounts(row) for row in found.rows] == [
        {"rock": 500_000, "lost": 100_000},
        {"rock": 3_000_000, "lost": 600_000},
        {"rock": 2_500_000, "lost": 500_000},
    ]


def test_days_are_local_days():
    found = divided([of("11-24T22:30:00", 3600)], "day")
    assert times(found) == ["11-24 00:00", "11-25 00:00"]
    assert [row.listened_ms for row in found.rows] == [1_800_000, 1_800_000]
    assert len(divided([of("11-24T22:30:00", 3600)], "day", zone=UTC).rows) == 1


def test_the_day_on_which_clocks_go_back_has_25_hours_and_one_hour_occurs_twice():
    whole = [of("10-24T22:00:00", 25 * 3600)]  # 25 October 2026 in Berlin
    assert [row.listened_ms for row in divided(whole, "day").rows] == [25 * HOUR_MS]
    found = divided(whole)
    assert [row.listened_ms for row in found.rows] == [HOUR_MS] * 25
    assert times(found)[1:5] == ["10-25 01:00", "10-25 02:00", "10-25 02:00", "10-25 03:00"]


def test_the_day_on_which_clocks_go_forward_has_23_hours():
    whole = [of("03-28T23:00:00", 23 * 3600)]
    assert [row.listened_ms for row in divided(whole, "day").rows] == [23 * HOUR_MS]
    assert times(divided(whole))[1:3] == ["03-29 01:00", "03-29 03:00"]


def test_a_spell_in_which_the_clock_was_set_lasts_by_the_monotonic_clock():
    forward = divided([of("11-24T11:50:00", 300, step=7200)])
    assert [(name, row.listened_ms) for name, row in zip(times(forward), forward.rows, strict=True)] == [
        ("11-24 12:00", 300_000)
    ]
    back = divided([of("11-24T11:50:00", 1200, step=-7200)])
    assert [row.listened_ms for row in back.rows] == [600_000, 600_000]
    assert times(back) == ["11-24 12:00", "11-24 13:00"]


def test_a_spell_without_positive_length_is_counted_at_its_start():
    unmarked = replace(of("11-24T12:00:00", 10), clock_step_s=0.0)
    unmarked.end = Timestamp(utc_ms=unmarked.start.utc_ms - HOUR_MS, mono_s=1010.0)
    at_once = of("11-24T12:59:59.999", 0, heard=1234.567)
    found = divided([unmarked, at_once])
    assert times(found) == ["11-24 13:00"]
    assert found.total.listened_ms == 10_000 + 1_234_567


def test_range_limits_cut_spells_and_exclude_those_outside():
    spells = [of("11-24T12:00:00", 600), of("11-24T13:00:00", 600, "jazz")]
    limits = {"since_ms": rfc3339_to_ms("2026-11-24T12:04:00Z"), "until_ms": rfc3339_to_ms("2026-11-24T13:05:00Z")}
    for by in ("hour", "day", "source"):
        assert amounts(divided(spells, by, **limits).total) == {"rock": 360_000, "jazz": 300_000}
    before = {"until_ms": rfc3339_to_ms("2026-11-24T12:00:00Z")}
    assert divided(spells, **before).rows == []


def test_sources_are_sorted_and_hours_without_sound_have_rows_only_in_a_chart():
    spells = [of("11-24T12:00:00", 60, source="line"), of("11-24T15:00:00", 60, source="attic")]
    assert [row.name for row in divided(spells, "source").rows] == ["attic", "line"]
    found = divided(spells)
    assert times(found) == ["11-24 13:00", "11-24 16:00"]
    assert [row.listened_ms for row in fill_gaps(found, BERLIN)] == [60_000, 0, 0, 60_000]


def records():
    """Strategy for valid and invalid spells."""
    return st.builds(
        lambda start, wall, heard, lost, step, kind, source: {
            **dict(zip(("genre", "reason", "dead_air"), kind, strict=True)),
            "source": source,
            "start": ms_to_rfc3339(YEAR + start),
            "end": ms_to_rfc3339(YEAR + start + wall),
            "heard_s": heard / 1000,
            "lost_s": lost / 1000,
            "clock_step_s": step,
            "mono_start_s": 5.0,
            "mono_end_s": 5.0 + abs(wall - 1000 * step) / 1000,
        },
        start=st.integers(0, 300 * DAY_MS),
        wall=st.one_of(st.integers(0, HOUR_MS), st.integers(-HOUR_MS, 3 * DAY_MS)),
        heard=st.integers(0, 2 * DAY_MS),
        lost=st.one_of(st.just(0), st.integers(0, DAY_MS)),
        step=st.one_of(st.just(0.0), st.sampled_from([-3600.0, 3600.0, 86_400.0])),
        kind=st.sampled_from(
            [
                ("rock", "majority", False),
                ("jazz", "majority", True),
                (None, "silence", False),
                (None, "refused", False),
                (None, "stalled", False),
            ]
        ),
        source=st.sampled_from(["mic", "line"]),
    )


@given(
    st.lists(records(), max_size=8), st.sampled_from(ZONES), st.lists(st.integers(-DAY_MS, 310 * DAY_MS), max_size=4)
)
def test_totals_are_the_sum_of_the_spells_whatever_the_boundaries(spells, zone, cuts):
    expected = sum(round(1000 * r["heard_s"]) + round(1000 * r["lost_s"]) for r in spells)
    by_source = build_report(spells, "source", zone=zone)
    assert by_source.total.listened_ms == expected
    limits = [None, *sorted(YEAR + cut for cut in set(cuts)), None]
    for by in ("hour", "day", "source"):
        whole = build_report(spells, by, zone=zone)
        assert sum(row.listened_ms for row in whole.rows) == whole.total.listened_ms == expected
        assert amounts(whole.total) == amounts(by_source.total)
        parts = [build_report(spells, by, since_ms=a, until_ms=b, zone=zone).total for a, b in pairwise(limits)]
        assert sum((Counter(amounts(part)) for part in parts), Counter()) == amounts(whole.total)
        assert all(ms > 0 for row in whole.rows for ms in amounts(row).values())


@given(
    st.integers(0, 365 * DAY_MS), st.integers(1, 3 * DAY_MS), st.sampled_from(ZONES), st.sampled_from(["hour", "day"])
)
@example(rfc3339_to_ms("2026-04-04T14:10:00Z") - YEAR, 2 * HOUR_MS, ZONES[2], "hour")  # Lord Howe: back by half an hour
@example(rfc3339_to_ms("2026-10-03T14:10:00Z") - YEAR, 2 * HOUR_MS, ZONES[2], "hour")
@example(rfc3339_to_ms("2026-03-28T20:10:00Z") - YEAR, 5 * HOUR_MS, ZONES[4], "day")  # Beirut: there is no midnight
@example(rfc3339_to_ms("2026-10-24T19:10:00Z") - YEAR, 5 * HOUR_MS, ZONES[4], "day")
@example(rfc3339_to_ms("2010-11-07T01:10:00Z") - YEAR, 3 * HOUR_MS, ST_JOHNS, "hour")  # set back at one past midnight
def test_hours_and_days_are_contiguous_with_one_name_each(start, length, zone, unit):
    start_ms, end_ms = YEAR + start, YEAR + start + length
    found = list(calendar_bins(start_ms, end_ms, unit, zone))
    assert found[0][0] <= start_ms < found[0][1]
    assert found[-1][0] < end_ms <= found[-1][1]
    assert all(before[1] == after[0] for before, after in pairwise(found))
    form = "%Y-%m-%d" if unit == "day" else "%Y-%m-%d %H %z"
    names = [(f"{local_time(begin, zone):{form}}", f"{local_time(end - 1, zone):{form}}") for begin, end in found]
    assert all(first == last for first, last in names)
    assert len({first for first, _ in names}) == len(names)
    assert all(
        bin_start(at_ms, unit, zone) == begin for begin, end in found for at_ms in (begin, (begin + end) // 2, end - 1)
    )


@pytest.fixture
def store(tmp_path):
    """A database of two sources, with an open spell."""
    store = HistoryStore(database_path(tmp_path, "box"), "box", deliver=False)
    store.append(
        [
            of("11-24T12:00:00", 1000.001, "rock", lost=0.001),
            of("11-24T12:00:00", 500, "jazz", source="line"),
            of("11-24T12:30:00", 500, None, source="line"),
        ],
        [of("11-24T13:00:00", 3000, "rock")],
    )
    yield store
    store.close()


def printed(capsys, *arguments, code=0):
    assert main(["report", *arguments]) == code
    return capsys.readouterr().out


def test_the_table_has_shares_of_the_listening_time_and_a_total(store, capsys):
    assert printed(capsys, "--by", "hour").splitlines() == [
        "% of the time  listened   rock   jazz  refused   lost",
        "2026-11-24, Tue",
        "  13:00         0:33:20   50.0   25.0     25.0    0.0",
        "  14:00         0:50:00  100.0      -        -      -",
        "total           1:23:20   80.0   10.0     10.0    0.0",
    ]
    assert printed(capsys, "--by", "source").splitlines()[1:] == [
        "line            0:16:40      -   50.0     50.0      -",
        "mic             1:06:40  100.0      -        -    0.0",
        "total           1:23:20   80.0   10.0     10.0    0.0",
    ]
    assert printed(capsys).splitlines()[1].startswith("2026-11-24, Tue   1:23:20")


def test_an_hour_that_occurs_twice_is_named_with_its_offset(tmp_path, capsys):
    store = HistoryStore(database_path(tmp_path, "box"), "box", deliver=False)
    store.append([of("10-25T00:00:00", 7200)], [])
    store.close()
    lines = printed(capsys, "--by", "hour").splitlines()
    assert [line.split("  ")[1] for line in lines[2:4]] == ["02:00 +0200", "02:00 +0100"]


def test_csv_and_json_have_exact_seconds_that_add_up(store, capsys):
    first, second, total = csv.DictReader(io.StringIO(printed(capsys, "--by", "hour", "--csv")))
    assert (first["start"], first["end"]) == ("2026-11-24T13:00:00+01:00", "2026-11-24T14:00:00+01:00")
    assert (first["listened_s"], first["rock_s"], first["lost_s"]) == ("2000.001", "1000.000", "0.001")
    assert (total["start"], total["listened_s"], total["silence_s"]) == ("total", "5000.001", "0.000")
    columns = [key for key in total if key.endswith("_s") and key != "listened_s"]
    for row in (first, second, total):
        assert sum(round(1000 * float(row[key])) for key in columns) == round(1000 * float(row["listened_s"]))
    found = json.loads(printed(capsys, "--by", "source", "--json"))
    assert (found["node"], [row["name"] for row in found["rows"]]) == ("box", ["line", "mic"])
    assert found["total"] == {
        "listened_s": 5000.001, "genres_s": {"rock": 4000.0, "jazz": 500.0}, "silence_s": 0.0, "dead_air_s": 0.0,
        "not_music_s": 0.0, "refused_s": 500.0, "warming_up_s": 0.0, "lost_s": 0.001,
    }  # fmt: skip


def test_a_range_and_a_source_can_be_chosen(store, capsys):
    arguments = ["--since", "2026-11-24 14:10", "--until", "2026-11-24 14:20", "--source", "mic"]
    assert json.loads(printed(capsys, "--json", *arguments))["total"]["listened_s"] == 600.0
    assert main(["report", "--source", "attic"]) == 2
    assert "no spells in this range" in capsys.readouterr().err


def test_a_range_finds_a_spell_whose_end_was_set_back_before_it(tmp_path, capsys):
    store = HistoryStore(database_path(tmp_path, "box"), "box", deliver=False)
    store.append([of("11-24T12:00:00", 600, step=-7200)], [])
    store.close()
    found = json.loads(printed(capsys, "--json", "--since", "2026-11-24 13:05"))
    assert found["total"]["listened_s"] == 300.0


def test_a_day_of_ten_genres_stays_readable(tmp_path, capsys):
    genres = ["blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock"]
    start = datetime(2026, 11, 23, 23, tzinfo=UTC)
    spells = []
    for minute in range(0, 24 * 60, 5):
        at = f"{start + timedelta(minutes=minute):%m-%dT%H:%M:%S}"
        kinds = [*genres, None]
        spells.append(of(at, 300, kinds[minute // 5 % 11], lost=1))
    store = HistoryStore(database_path(tmp_path, "box"), "box", deliver=False)
    store.append(spells, [])
    store.close()
    lines = printed(capsys, "--by", "hour").splitlines()
    assert len(lines) == 1 + 1 + 24 + 1
    assert max(map(len, lines)) <= 140
    assert len({len(line) for line in lines if not line.startswith("2026")}) == 1


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("unit", ["week", "month"])
def test_weeks_and_months_follow_each_other_without_a_gap(zone, unit):
    bins = list(calendar_bins(YEAR, YEAR + 400 * DAY_MS, unit, zone))
    assert all(end == start for (_, end), (start, _) in pairwise(bins))
    for start, _ in bins:
        day = local_time(start, zone).date()
        assert day.weekday() == 0 if unit == "week" else day.day == 1
    assert bin_start(bins[3][1] - 1, unit, zone) == bins[3][0]


def test_a_spell_over_the_turn_of_a_month_is_divided():
    found = divided([of("11-30T22:30:00", 3600)], by="month")
    assert [row.listened_ms for row in found.rows] == [1_800_000, 1_800_000]
    assert times(found) == ["11-01 00:00", "12-01 00:00"]


def stored(directory, *spells):
    store = HistoryStore(database_path(directory, "box"), "box", deliver=True)
    store.append(spells, [])
    store.close()


def test_files_are_written_once_for_each_period_that_is_over(tmp_path, capsys, monkeypatch):
    at = Timestamp(utc_ms=rfc3339_to_ms("2026-12-02T12:00:00Z"), mono_s=0.0)
    monkeypatch.setattr("genrewatch.commands.report_files.now", lambda: at)
    stored(tmp_path, of("11-17T10:00:00", 60), of("11-24T10:00:00", 60, "jazz"), of("12-01T10:00:00", 60))
    command = ["report", "--state", str(tmp_path), "--output", str(tmp_path / "reports"), "--by"]
    assert main([*command, "week"]) == 0
    made = [line.rpartition("/")[2] for line in capsys.readouterr().out.splitlines()]
    assert [name for name in made if name.endswith(".csv")] == ["box-2026-W47.csv", "box-2026-W48.csv"]
    csv_file = tmp_path / "reports" / "box-2026-W48.csv"
    assert csv_file.stat().st_mode & 0o777 == 0o600
    assert "jazz_s" in csv_file.read_text()
    csv_file.write_text("kept")
    assert main([*command, "week"]) == 0
    assert capsys.readouterr().out == ""
    assert csv_file.read_text() == "kept"
    assert main([*command, "month"]) == 0
    assert (tmp_path / "reports" / "box-2026-11.csv").read_text().count("\n") == 4  # a head, two days, a total
    assert main([*command, "source"]) == 2
    assert "expected --by day, week, month" in capsys.readouterr().err
