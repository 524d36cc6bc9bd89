"""A frame: all that a wall shows, of one cursor."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summaries.buckets import Calendar
from summaries.counters import Announcement, Snapshot
from summaries.frame import RATE_SPAN, Picture, Rate, dump, wanted
from summaries.tally import OTHER, SHOWN, Row, Tally
from tests.hits import NOW, SITE

BERLIN = Calendar(ZoneInfo("Europe/Berlin"))
UTC_CALENDAR = Calendar(ZoneInfo("UTC"))
NAMES = ["server", "url", "visitor", "minute"]
FIELDS = {
    *("site", "bucket", "at", "cursor", "hits", "bytes", "visitors", "rate", "series", "top", "recent"),
    *("before", "bots", "capped", "zone"),
}  # the hub adds active, lag, watching and notes
LATER = NOW + timedelta(days=100)
Tallies = dict[tuple[str, str], Tally]


def tally(*rows: Row, most: int | None = None, distinct: int | None = None) -> Tally:
    made = Tally(most, len(rows) if distinct is None else distinct, any(row[0] == OTHER for row in rows))
    made.update(rows)
    return made


def picture(tallies: Tallies, bucket: str = "hour:2126-11-21T06", **changed: Any) -> Picture:
    names = {name for name, _ in tallies} | {"server"}
    cursors = changed.pop("cursors", dict.fromkeys(names, "5-0"))
    calendar = changed.pop("calendar", UTC_CALENDAR)
    return Picture(SITE, bucket, calendar, Snapshot(cursors, tallies), changed.pop("recent", []), Rate(0.0))


def series(bucket: str, rows: list[Row], now: datetime, name: str = "minute") -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = picture({(name, bucket): tally(*rows)}, bucket).frame(now)["series"]
    return found


def test_a_frame_has_these_fields_and_no_others() -> None:
    hour = "hour:2126-11-21T06"
    bots = [(f"bot {letter}", 1, 0) for letter in "abcdefghijk"]
    shown = picture(
        {
            ("server", hour): tally((SITE, 12, 345)),
            ("visitor", hour): tally(("a", 9, 0), most=SHOWN, distinct=17),
            ("url", hour): tally(("/b", 2, 5), ("/a", 2, 0), ("/c", 8, 340), most=SHOWN),
            ("minute", hour): tally(("06:30", 12, 345)),
            ("bot", hour): tally(*bots),
        },
        recent=[{"path": "/c"}],
    )
    frame = shown.frame(NOW)
    assert set(frame) == FIELDS
    assert frame["series"][29:] == [("06:29", 0), ("06:30", 12), ("06:31", 0)]
    assert {name: value for name, value in frame.items() if name != "series"} == {
        "site": SITE,
        "bucket": hour,
        "at": "2126-11-21T06:31:11.000Z",
        "cursor": "5-0",
        "hits": 12,
        "bytes": 345,
        "bots": 11,
        "visitors": 17,
        "rate": 0.0,
        "before": [],
        "top": {"url": [("/c", 8, 340), ("/a", 2, 0), ("/b", 2, 5)], "bot": bots[:10]},
        "recent": [{"path": "/c"}],
        "capped": [],
        "zone": "UTC",
    }


def test_visitors_and_minutes_are_in_no_top_list() -> None:
    hour = "hour:2126-11-21T06"
    frame = picture({(name, hour): tally(("x", 1, 0)) for name in [*NAMES, "ip"]}).frame(NOW)
    assert set(frame["top"]) == {"url", "ip"}


def test_a_summary_that_has_reached_its_cap_is_named() -> None:
    hour = "hour:2126-11-21T06"
    frame = picture({("url", hour): tally((OTHER, 3, 0)), ("ip", hour): tally(("::1", 1, 0))}).frame(NOW)
    assert frame["capped"] == ["url"]


def test_law_5_a_frame_leaves_out_what_stands_at_another_cursor() -> None:
    hour = "hour:2126-11-21T06"
    tallies = {(name, hour): tally(("x", 3, 0)) for name in NAMES}
    frame = picture(tallies, cursors={"server": "5-0", "minute": "5-0", "url": "4-0"}).frame(NOW)
    assert (frame["cursor"], frame["hits"], frame["visitors"], frame["top"]) == ("5-0", 3, 0, {"url": []})
    assert picture({}, cursors={}).frame(NOW)["cursor"] == "0-0"


@pytest.mark.parametrize(
    ("bucket", "now", "first", "final", "length"),
    [
        ("hour:2126-11-21T06", NOW, "06:00", "06:31", 32),
        ("hour:2126-11-21T06", LATER, "06:00", "06:59", 60),
        ("day:2126-11-21", NOW, "00:00", "06:00", 7),
        ("day:2126-11-21", LATER, "00:00", "23:00", 24),
        ("month:2126-11", NOW, "2126-11-01", "2126-11-21", 21),
        ("month:2126-11", LATER, "2126-11-01", "2126-11-30", 30),
    ],
)
def test_a_series_ends_now_or_with_its_bucket(
    bucket: str, now: datetime, first: str, final: str, length: int
) -> None:
    labels = [label for label, _ in series(bucket, [], now)]
    assert (labels[0], labels[-1], len(labels)) == (first, final, length)


def test_a_series_is_minutes_of_an_hour_hours_of_a_day_days_of_a_month() -> None:
    rows = [("06:00", 2, 0), ("06:59", 3, 0), ("23:05", 4, 0)]
    assert [row for row in series("hour:2126-11-21T06", rows, LATER) if row[1]] == [
        ("06:00", 2),
        ("06:59", 3),
    ]
    assert [row for row in series("day:2126-11-21", rows, LATER) if row[1]] == [("06:00", 5), ("23:00", 4)]
    days = {("server", f"day:2126-11-{day:02}"): tally((SITE, day, 0)) for day in (1, 30)}
    shown = picture(days, "month:2126-11").frame(LATER)["series"]
    assert [row for row in shown if row[1]] == [("2126-11-01", 1), ("2126-11-30", 30)]


def test_what_a_cap_has_left_of_the_minutes_is_still_a_series() -> None:
    rows = [("06:00", 2, 0), (OTHER, 3, 0)]
    assert dict(series("hour:2126-11-21T06", rows, LATER))["06:00"] == 2
    assert dict(series("day:2126-11-21", rows, LATER))["06:00"] == 2


def test_before_is_the_whole_bucket_before_or_nothing() -> None:
    hour, previous = "hour:2126-11-21T06", "hour:2126-11-21T05"
    shown = picture({("minute", hour): tally(), ("minute", previous): tally(("05:59", 3, 0))})
    before = shown.frame(NOW)["before"]
    assert (len(before), before[-1], sum(hits for _, hits in before)) == (60, ("05:59", 3), 3)
    assert picture({("minute", previous): tally()}).frame(NOW)["before"] == []


def test_the_day_of_the_changed_clock_is_named_in_its_zone() -> None:
    now = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # the second 02:30 of that night
    bucket = BERLIN.bucket("day", now)
    shown = picture({("minute", bucket): tally(("02:30", 2, 0))}, bucket, calendar=BERLIN).frame(now)
    assert shown["series"] == [("00:00", 0), ("01:00", 0), ("02:00", 2)]
    assert shown["zone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("bucket", "further"),
    [
        ("hour:2126-11-21T00", {("minute", "hour:2126-11-21T00"), ("minute", "hour:2126-11-20T23")}),
        ("day:2126-11-01", {("minute", "day:2126-11-01"), ("minute", "day:2126-10-31")}),
        (
            "month:2126-11",
            {("server", f"day:2126-{m}-{d:02}") for m, n in ((10, 31), (11, 30)) for d in range(1, n + 1)},
        ),
    ],
)
def test_a_wall_wants_its_top_lists_its_series_and_the_one_before(
    bucket: str, further: set[tuple[str, str]]
) -> None:
    found = wanted(UTC_CALENDAR, bucket, NAMES)
    assert set(found) == {(name, bucket) for name in NAMES} | further
    assert {place for place, most in found.items() if most is None} == further


def test_what_is_wanted_is_all_that_a_frame_reads() -> None:
    for bucket in UTC_CALENDAR.names(NOW):
        places = wanted(UTC_CALENDAR, bucket, NAMES)
        frame = picture({place: tally(("06:30", 1, 0), most=most) for place, most in places.items()}, bucket)
        assert frame.frame(NOW)["hits"] == 1


@pytest.mark.parametrize(
    ("arrivals", "start", "rate"),
    [
        ([], 0.0, 0.0),
        ([(95.0, 20)], 0.0, 2.0),
        ([(89.9, 100), (90.0, 100), (90.1, 5), (100.0, 5)], 0.0, 1.0),
        ([(99.0, 6)], 98.0, 3.0),
        ([(100.0, 6)], 99.9, 6.0),
    ],
    ids=["none", "ten seconds", "old ones go", "since the start", "never of less than a second"],
)
def test_the_rate_is_hits_per_second_of_the_last_ten(
    arrivals: list[tuple[float, int]], start: float, rate: float
) -> None:
    measured = Rate(start)
    for at, hits in arrivals:
        measured.add(at, hits)
    assert measured.now(100.0) == rate
    assert measured.now(100.0 + RATE_SPAN) == 0.0
    assert not measured.arrivals


def test_an_announcement_moves_the_cursor_the_rate_and_the_recent_hits() -> None:
    hour = "hour:2126-11-21T06"
    shown = picture({("server", hour): tally((SITE, 1, 0))}, recent=[{"path": f"/{n}"} for n in range(10)])
    entries = [
        ("server", hour, 1, False, [(SITE, 3, 7)]),
        ("server", "day:2126-11-21", 1, False, [(SITE, 9, 9)]),
    ]
    news = Announcement(["server"], "5-0", "7-0", 2, '[{"path":"/y"},{"path":"/x"}]', entries, False)
    assert shown.take(news, NOW.timestamp()) is True
    frame = shown.frame(NOW)
    assert (frame["cursor"], frame["hits"], frame["bytes"], frame["rate"]) == ("7-0", 3, 7, 0.2)
    assert [row["path"] for row in frame["recent"]] == ["/y", "/x", *(f"/{n}" for n in range(8))]


def test_what_changed_where_the_cursor_stands_makes_a_picture_be_read_anew() -> None:
    shown = picture({("server", "hour:2126-11-21T06"): tally((SITE, 1, 0))})
    for end in ("4-0", "5-0", "6-0"):
        assert shown.take(Announcement(["server"], end, end, 0, "[]", [], True), 0.0) is False
    assert shown.frame(NOW)["hits"] == 1


@given(
    st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=9)
)
def test_law_12_a_dumped_frame_is_one_line_of_ascii_for_any_text(found: Any) -> None:
    text = "\u2028\u2029\x85\x0b\x0c\x1c\r\n\0" + "\ud800"
    line = dump({"found": found, "text": text})
    assert line.isascii()
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    assert json.loads(line) == {"found": found, "text": text}
