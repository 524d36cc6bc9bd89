"""Which buckets a question is about."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summaries.buckets import KINDS, Calendar
from summaries.spans import MAX_BUCKETS, TIME, BadQuestion, Span, Texts, moment

NOW = datetime(2026, 11, 21, 6, 31, 11, tzinfo=UTC)
BERLIN = Calendar(ZoneInfo("Europe/Berlin"))
UNIVERSAL = Calendar(ZoneInfo("UTC"))
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2500, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("kind", "texts", "bucket"),
    [
        ("day", ("", "", ""), "day:2026-11-21"),
        ("hour", ("", "", ""), "hour:2026-11-21T07"),
        ("day", ("2026-11-20", "", ""), "day:2026-11-20"),
        ("month", ("2026-02", "", ""), "month:2026-02"),
        ("hour", ("2026-11-21T06", "", ""), "hour:2026-11-21T06"),
        ("hour", ("2026-11-21T06:31:00Z", "", ""), "hour:2026-11-21T07"),
        ("hour", ("2026-11-21T06:31", "", ""), "hour:2026-11-21T06"),
        ("day", ("2026-11-21T23:30:00.5Z", "", ""), "day:2026-11-22"),
        ("day", ("2026-11-21T23:30:00+14:00", "", ""), "day:2026-11-21"),
        ("month", ("2026-11-21", "", ""), "month:2026-11"),
        ("hour", ("2026-11-20", "", ""), "hour:2026-11-20T00..2026-11-20T23"),
        ("day", ("2026-02", "", ""), "day:2026-02-01..2026-02-28"),
        ("day", ("", "2026-11-01", "2026-11-03"), "day:2026-11-01..2026-11-03"),
        ("day", ("", "2026-10", "2026-11-03"), "day:2026-10-01..2026-11-03"),
        ("hour", ("", "2026-11-20T22", "2026-11-21"), "hour:2026-11-20T22..2026-11-21T23"),
        ("day", ("", "2026-11-19", ""), "day:2026-11-19..2026-11-21"),
        ("day", ("", "2026-11-21", "2026-11-21"), "day:2026-11-21"),
    ],
)
def test_a_text_names_the_bucket_it_lies_in_and_all_those_it_holds(
    kind: str, texts: Texts, bucket: str
) -> None:
    assert Span.of(BERLIN, kind, texts, NOW).bucket == bucket


@pytest.mark.parametrize(
    ("kind", "texts", "name"),
    [
        ("week", ("", "", ""), "bucket"),
        ("day", ("yesterday", "", ""), "at"),
        ("day", ("2026-02-30", "", ""), "at"),
        ("day", ("2026-13", "", ""), "at"),
        ("day", ("20261121", "", ""), "at"),
        ("day", ("0999-01-01", "", ""), "at"),
        ("day", ("9999-12-31", "", ""), "at"),
        ("day", ("2026-11-21T06Z", "", ""), "at"),
        ("day", ("2026-11-21", "2026-11-20", ""), "at"),
        ("day", ("2026-11-21", "", "2026-11-21"), "at"),
        ("day", ("", "", "2026-11-21"), "from"),
        ("day", ("", "2026-11-22", "2026-11-21"), "from"),
        ("day", ("", "2026-12-01", ""), "from"),
        ("day", ("", "x", ""), "from"),
        ("day", ("", "2026-11-21", "x"), "to"),
        ("hour", ("", "2020", "2026"), "from"),
        ("hour", ("", "2020-01", "2026-11"), "from"),
    ],
)
def test_what_names_no_time_is_refused_with_the_name_of_the_parameter(
    kind: str, texts: Texts, name: str
) -> None:
    with pytest.raises(BadQuestion) as bad:
        Span.of(BERLIN, kind, texts, NOW)
    assert bad.value.name == name
    assert re.fullmatch(rf"{name} .+\.", str(bad.value))


@pytest.mark.parametrize(
    ("day", "hours", "names"), [("2026-03-29", 23, 23), ("2026-10-25", 25, 24), ("2026-11-21", 24, 24)]
)
def test_the_hours_of_a_day_are_those_that_the_clocks_show(day: str, hours: int, names: int) -> None:
    span = Span.of(BERLIN, "hour", (day, "", ""), NOW)
    start, end = span.times(BERLIN)
    assert end - start == timedelta(hours=hours)
    assert len(span.buckets(BERLIN)) == names


def test_a_month_of_hours_can_be_asked_for_and_two_years_of_days() -> None:
    assert len(Span.of(BERLIN, "hour", ("2026-10", "", ""), NOW).buckets(BERLIN)) == 744
    two_years = Span.of(UNIVERSAL, "day", ("", "2025-01", "2026-12"), NOW)
    assert len(two_years.buckets(UNIVERSAL)) == 730 <= MAX_BUCKETS


@given(st.sampled_from(KINDS), MOMENTS, st.integers(0, 60))
def test_buckets_of_a_span_are_neighbours_and_so_are_those_before(
    kind: str, first: datetime, count: int
) -> None:
    last = BERLIN.bucket(kind, first)
    for _ in range(count):
        last = BERLIN.bucket(kind, BERLIN.span(last)[1])
    span = Span(kind, BERLIN.bucket(kind, first), last)
    names = span.before(BERLIN) + span.buckets(BERLIN)
    assert len(names) == 2 * (count + 1)
    assert names[count + 1] == span.first
    assert names[-1] == span.last
    ends = [BERLIN.span(name) for name in names]
    assert all(one[1] == other[0] for one, other in pairwise(ends))


@given(st.from_regex(TIME, fullmatch=True))
def test_every_text_of_the_pattern_names_a_time_or_is_refused(text: str) -> None:
    try:
        start, end = moment(BERLIN, "at", text)
    except BadQuestion:
        assert re.match(r"\d{4}-(02-(29|3)|(04|06|09|11)-31)", text)  # days that the month does not have
    else:
        assert start <= end
