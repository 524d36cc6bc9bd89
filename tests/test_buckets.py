"""Hours, days and months in any zone, on the days when the clocks change above all."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from summaries.buckets import KINDS, Calendar, minutes_of
from tracker.settings import Settings

NAMES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe", "America/Havana"]
ZONES = st.sampled_from(NAMES).map(ZoneInfo)
TIMES = st.datetimes(datetime(2012, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC))
BERLIN = Calendar(ZoneInfo("Europe/Berlin"))
SPRING = datetime(2026, 3, 29, 1, tzinfo=UTC)  # in Berlin 02:00 becomes 03:00
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC)  # in Berlin 03:00 becomes 02:00
HOUR = timedelta(hours=1)

NAMED = [
    ("UTC", "2026-11-21T06:31:11", "hour:2026-11-21T06", "06:31"),
    ("Europe/Berlin", "2026-11-21T23:59:59", "hour:2026-11-22T00", "00:59"),
    ("Europe/Berlin", "2026-12-31T23:00:00", "hour:2027-01-01T00", "00:00"),
    ("Europe/Berlin", "2026-03-29T00:59:59", "hour:2026-03-29T01", "01:59"),
    ("Europe/Berlin", "2026-03-29T01:00:00", "hour:2026-03-29T03", "03:00"),
    ("Europe/Berlin", "2026-10-25T00:30:00", "hour:2026-10-25T02", "02:30"),
    ("Europe/Berlin", "2026-10-25T01:30:00", "hour:2026-10-25T02", "02:30"),
    ("Europe/Berlin", "2026-10-25T02:00:00", "hour:2026-10-25T03", "03:00"),
    ("Asia/Kolkata", "2026-11-21T18:29:59", "hour:2026-11-21T23", "23:59"),
    ("Asia/Kolkata", "2026-11-21T18:30:00", "hour:2026-11-22T00", "00:00"),
    ("America/St_Johns", "2026-11-21T03:29:59", "hour:2026-11-20T23", "23:59"),
    ("America/St_Johns", "2026-11-21T03:30:00", "hour:2026-11-21T00", "00:00"),
]
SPANS = [
    ("hour:2026-03-29T01", SPRING - HOUR, 1),
    ("hour:2026-03-29T03", SPRING, 1),
    ("hour:2026-10-25T01", AUTUMN - 2 * HOUR, 1),
    ("hour:2026-10-25T02", AUTUMN - HOUR, 2),
    ("hour:2026-10-25T03", AUTUMN + HOUR, 1),
    ("day:2026-03-29", datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
    ("day:2026-10-25", datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
    ("day:2026-11-21", datetime(2026, 11, 20, 23, tzinfo=UTC), 24),
    ("month:2026-03", datetime(2026, 2, 28, 23, tzinfo=UTC), 31 * 24 - 1),
    ("month:2026-10", datetime(2026, 9, 30, 22, tzinfo=UTC), 31 * 24 + 1),
    ("month:2026-12", datetime(2026, 11, 30, 23, tzinfo=UTC), 31 * 24),
]
PREVIOUS = [
    ("hour:2026-03-29T03", "hour:2026-03-29T01"),
    ("hour:2026-10-25T03", "hour:2026-10-25T02"),
    ("hour:2026-10-25T02", "hour:2026-10-25T01"),
    ("hour:2027-01-01T00", "hour:2026-12-31T23"),
    ("day:2026-03-30", "day:2026-03-29"),
    ("day:2026-03-01", "day:2026-02-28"),
    ("month:2026-01", "month:2025-12"),
]


@pytest.mark.parametrize(("zone", "at", "hour", "minute"), NAMED)
def test_a_moment_has_the_names_of_its_zone(zone: str, at: str, hour: str, minute: str) -> None:
    calendar, moment = Calendar(ZoneInfo(zone)), datetime.fromisoformat(at + "+00:00")
    day = hour[5:-3]
    assert calendar.names(moment) == (hour, f"day:{day}", f"month:{day[:7]}")
    assert calendar.minute(moment) == minute
    assert [calendar.bucket(kind, moment) for kind in KINDS] == list(calendar.names(moment))


@pytest.mark.parametrize(("bucket", "start", "hours"), SPANS)
def test_a_span_is_as_long_as_the_clock_made_it(bucket: str, start: datetime, hours: int) -> None:
    assert BERLIN.span(bucket) == (start, start + hours * HOUR)


@pytest.mark.parametrize(("bucket", "before"), PREVIOUS)
def test_the_previous_bucket_is_the_one_before_on_the_clock(bucket: str, before: str) -> None:
    assert BERLIN.previous(bucket) == before


@given(zone=ZONES, at=TIMES, kind=st.sampled_from(KINDS))
@example(zone=BERLIN.zone, at=SPRING, kind="hour")
@example(zone=BERLIN.zone, at=AUTUMN, kind="hour")
@example(zone=ZoneInfo("Australia/Lord_Howe"), at=datetime(2026, 4, 4, 15, 10, tzinfo=UTC), kind="hour")
def test_every_moment_is_inside_the_span_of_its_bucket_and_no_other_s(
    zone: ZoneInfo, at: datetime, kind: str
) -> None:
    calendar = Calendar(zone)
    bucket = calendar.bucket(kind, at)
    start, end = calendar.span(bucket)
    assert start <= at < end
    assert calendar.bucket(kind, start) == bucket == calendar.bucket(kind, end - timedelta(minutes=1))
    assert calendar.span(calendar.previous(bucket))[1] == start


@given(zone=ZONES, at=TIMES)
def test_the_days_of_a_month_follow_each_other_and_fill_it(zone: ZoneInfo, at: datetime) -> None:
    calendar = Calendar(zone)
    month = calendar.bucket("month", at)
    spans = [calendar.span(day) for day in calendar.days(month)]
    assert (spans[0][0], spans[-1][1]) == calendar.span(month)
    assert all(one[1] == other[0] for one, other in pairwise(spans))
    assert calendar.bucket("day", at) in calendar.days(month)


def test_the_days_of_february_are_the_calendar_s() -> None:
    assert [len(BERLIN.days(f"month:{year}-02")) for year in (2026, 2028, 2100)] == [28, 29, 28]
    assert BERLIN.days("month:2026-02")[::27] == ["day:2026-02-01", "day:2026-02-28"]


def test_counters_expire_so_long_after_the_end_of_their_bucket() -> None:
    calendar = Calendar.of(Settings(timezone=BERLIN.zone, keep_hour=2 * HOUR, keep_day=timedelta(days=3)))
    assert calendar.expires("hour:2026-10-25T02") == int((AUTUMN + 3 * HOUR).timestamp())
    assert calendar.expires("day:2026-10-25") == int(datetime(2026, 10, 28, 23, tzinfo=UTC).timestamp())
    assert calendar.expires("month:2026-10") is None
    assert Calendar(BERLIN.zone).expires("hour:2026-10-25T02") is None


@given(zone=ZONES, at=TIMES)
def test_the_minute_of_a_moment_is_one_of_its_hour_s(zone: ZoneInfo, at: datetime) -> None:
    calendar = Calendar(zone)
    assert calendar.minute(at) in minutes_of(calendar.bucket("hour", at))


def test_an_hour_has_sixty_minutes_in_order() -> None:
    minutes = minutes_of("hour:2026-11-21T06")
    assert (minutes[0], minutes[-1], len(set(minutes))) == ("06:00", "06:59", 60)
    assert list(minutes) == sorted(minutes)
