"""Answers against a recount of the hits, hit by hit, and the pages of an answer against the whole."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from summaries import questions as module
from summaries import raw_hits
from summaries.buckets import Calendar
from summaries.chosen import chosen
from summaries.counters import Batch
from summaries.counting import Counting
from summaries.fold import fold
from summaries.questions import BadQuestion, NotKnown, Questions, Row, Span, Total, Window, Wish
from tests.hits import PROPERTY, SITE, generated_hits, hit
from tests.logged import Logged
from tracker import keys
from tracker.hit import Hit
from tracker.raw import START, RawLog, order
from tracker.settings import Settings

SETTINGS = Settings.read(
    {"HITWALL_TIMEZONE": "Europe/Berlin", "HITWALL_COUNT_BOTS": "yes"}
    | {f"HITWALL_KEEP_{kind}": "0" for kind in ("HOUR", "DAY", "RAW")}
)
CALENDAR = Calendar.of(SETTINGS)
HOOKS = chosen(SETTINGS).hooks
FORMS = {"hour": "hour:%Y-%m-%dT%H", "day": "day:%Y-%m-%d", "month": "month:%Y-%m"}
NOW = datetime(2020, 11, 21, 6, 31, 11, tzinfo=UTC)  # past: a raw hit arrives after it happened
SPREAD = (0, 1, 29, 40, 61, 1200, 1440, 2880, 20000)
HITS = st.lists(generated_hits(st.sampled_from([NOW + timedelta(minutes=n) for n in SPREAD])), max_size=40)
SPANS = st.sampled_from(
    [
        Span.of(CALENDAR, kind, texts, NOW)
        for kind, texts in [
            ("hour", ("", "", "")),
            ("hour", ("2020-11-21", "", "")),
            ("day", ("", "", "")),
            ("day", ("2020-11-22", "", "")),
            ("day", ("", "2020-11-22", "2020-11-24")),
            ("day", ("2020-12", "", "")),
            ("month", ("", "", "")),
            ("month", ("2020-12", "", "")),
        ]
    ]
)
NAMES = st.sampled_from(["url", "browser", "minute", "visitor", "server", "language", "referrer"])
ORDERS = st.sampled_from(["hits", "bytes", "label"])
ALL = 10_000

Sums = dict[str, tuple[int, int]]  # label -> hits, bytes


def store(redis: Redis, hits: Sequence[Hit]) -> Questions:
    """These hits in an empty Redis, counted; and whom to ask."""
    redis.flushdb()
    raw = RawLog(redis)
    for position, each in enumerate(hits):
        raw.append(SITE, [each], "test", position)
    redis.sadd("hitwall:sites", SITE)
    counting = Counting.of(SETTINGS, redis)
    while counting.step(SITE).hits:
        pass
    return Questions.of(SETTINGS, redis)


def recount(hits: Sequence[Hit], name: str, kind: str, buckets: Sequence[str]) -> Sums:
    sums: Sums = {}
    for each in hits:
        label = HOOKS[name](each)
        if label and each.at.astimezone(CALENDAR.zone).strftime(FORMS[kind]) in buckets:
            had = sums.get(str(label), (0, 0))
            sums[str(label)] = (had[0] + 1, had[1] + each.bytes)
    return sums


def ordered(sums: Sums, by: str) -> list[Row]:
    rows = [Row(label, *pair) for label, pair in sums.items()]
    by_label = sorted(rows, key=lambda row: row.label)
    return by_label if by == "label" else sorted(by_label, key=lambda row: getattr(row, by), reverse=True)


def total(sums: Sums) -> Total:
    return Total(sum(pair[0] for pair in sums.values()), sum(pair[1] for pair in sums.values()), len(sums))


@given(HITS, SPANS, NAMES, ORDERS)
@PROPERTY
def test_law_3_a_summary_equals_a_recount_also_where_buckets_are_merged(
    redis: Redis, hits: list[Hit], span: Span, name: str, by: Literal["hits", "bytes", "label"]
) -> None:
    answer = store(redis, hits).summary(SITE, name, span, Wish(ALL, order=by))
    sums = recount(hits, name, span.kind, span.buckets(CALENDAR))
    before = recount(hits, name, span.kind, span.before(CALENDAR))
    assert answer.labels == ordered(sums, by)
    assert Total(answer.hits, answer.bytes, answer.distinct) == total(sums)
    assert answer.before == (total(before) if before else None)
    assert answer.matching == len(sums)
    assert (answer.bucket, answer.exact, answer.capped) == (span.bucket, True, False)


@given(HITS, SPANS, ORDERS, st.integers(1, 5), st.sampled_from(["", "1", "/", "ß", "SS", "nowhere"]))
@PROPERTY
def test_pages_cover_all_that_match_once_and_in_order(
    redis: Redis, hits: list[Hit], span: Span, by: Literal["hits", "bytes", "label"], limit: int, search: str
) -> None:
    ask = store(redis, hits)
    whole = ask.summary(SITE, "url", span, Wish(ALL, order=by))
    rows: list[Row] = []
    for page in range(1, len(whole.labels) // limit + 2):
        answer = ask.summary(SITE, "url", span, Wish(limit, page, by, search))
        assert len(answer.labels) <= limit
        rows += answer.labels
    found = [row for row in whole.labels if search.casefold() in row.label.casefold()]
    assert rows == found
    assert answer.matching == len(found)
    assert (answer.hits, answer.distinct) == (whole.hits, whole.distinct)  # of all, found or not


@given(HITS, SPANS, NAMES)
@PROPERTY
def test_law_3_a_series_equals_a_recount_with_a_point_for_every_bucket(
    redis: Redis, hits: list[Hit], span: Span, name: str
) -> None:
    ask = store(redis, hits)
    labels = {label for each in hits if (label := HOOKS[name](each))}
    for label in [*map(str, labels), "never seen"]:
        answer = ask.series(SITE, name, label, span)
        assert [point.bucket for point in answer.points] == span.buckets(CALENDAR)
        for point in answer.points:
            told = recount(hits, name, span.kind, [point.bucket]).get(label, (0, 0))
            assert (point.hits, point.bytes) == told
        assert answer.hits == sum(point.hits for point in answer.points)


@given(
    HITS,
    st.sampled_from(["newest", "oldest"]),
    st.integers(1, 7),
    st.sampled_from([None, *SPREAD]),
    st.sampled_from([None, *SPREAD]),
)
@PROPERTY
def test_pages_of_raw_hits_cover_all_of_a_time_once_in_the_order_of_arrival(
    redis: Redis,
    hits: list[Hit],
    by: Literal["newest", "oldest"],
    limit: int,
    low: int | None,
    high: int | None,
) -> None:
    ask = store(redis, hits)
    start, end = (None if n is None else NOW + timedelta(minutes=n) for n in (low, high))
    with pytest.MonkeyPatch.context() as small:
        small.setattr(raw_hits, "CHUNK", 3)
        small.setattr(raw_hits, "SCAN_MOST", 8)
        found, after = [], ""
        for _ in range(2 * len(hits) + 2):
            page = ask.hits(SITE, Window(start, end, after, limit, by))
            assert len(page.hits) <= limit
            found += page.hits
            if page.next is None:
                break
            after = page.next
    assert page.next is None
    inside = [each for each in hits if (not start or each.at >= start) and (not end or each.at < end)]
    assert [one.hit for one in found] == (inside if by == "oldest" else inside[::-1])
    ids = [order(one.id) for one in found]
    assert ids == sorted(set(ids), reverse=by == "newest")


def test_an_imported_hit_is_found_at_its_own_time(redis: Redis) -> None:
    old = hit("/old", at=NOW - timedelta(days=900))
    ask = store(redis, [hit("/new", at=NOW), old, hit("/newer", at=NOW)])
    window = Window(NOW - timedelta(days=901), NOW - timedelta(days=899))
    assert [one.hit.path for one in ask.hits(SITE, window).hits] == ["/old"]


@pytest.mark.parametrize("by", ["newest", "oldest"])
def test_after_the_first_or_the_last_id_there_is_nothing_more(
    redis: Redis, by: Literal["newest", "oldest"]
) -> None:
    ask = store(redis, [hit(at=NOW)])
    edge = START if by == "newest" else f"{10**16 - 1}-0"
    page = ask.hits(SITE, Window(after=edge, order=by))
    assert (page.hits, page.next) == ([], None)


def test_labels_beyond_the_cap_count_under_other_which_is_no_label_of_its_own(redis: Redis) -> None:
    ask = store(redis, [])
    hits = [hit(f"/{n}", at=NOW, bytes=10) for n in range(5)]
    sums = fold(hits, {"url": HOOKS["url"]}, CALENDAR)
    assert Logged(redis, CALENDAR, 3).apply(Batch(SITE, ["url"], START, "5-0", sums))
    answer = ask.summary(SITE, "url", Span.of(CALENDAR, "day", ("", "", ""), NOW), Wish())
    assert answer.labels[0] == Row("(other)", 2, 20)
    assert (answer.hits, answer.bytes, answer.distinct, answer.capped) == (5, 50, 3, True)


def test_the_cursor_is_that_of_the_summary_asked_about(redis: Redis) -> None:
    ask = store(redis, [])
    counters = Logged(redis, CALENDAR, ALL)
    for name, end in (("url", "5-0"), ("browser", "7-0")):
        sums = fold([hit(at=NOW)], {name: HOOKS[name]}, CALENDAR)
        assert counters.apply(Batch(SITE, [name], START, end, sums))
    span = Span.of(CALENDAR, "day", ("", "", ""), NOW)
    assert ask.summary(SITE, "url", span, Wish()).cursor == "5-0"
    assert ask.series(SITE, "browser", "Other", span).cursor == "7-0"
    assert ask.summary(SITE, "ip", span, Wish()).cursor == START
    assert {"url": "5-0", "browser": "7-0", "ip": START}.items() <= ask.cursors(SITE).items()


def test_what_is_read_in_parts_is_the_same_and_says_when_it_is_not_of_one_moment(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    hits = [hit(f"/{n}", at=NOW + timedelta(days=n % 3), bytes=n) for n in range(9)]
    ask = store(redis, hits)
    span = Span.of(CALENDAR, "day", ("", "2020-11-21", "2020-11-23"), NOW)
    whole = ask.summary(SITE, "url", span, Wish())
    monkeypatch.setattr(module, "PART", 1)
    monkeypatch.setattr(module, "PIECE", 1)
    assert ask.summary(SITE, "url", span, Wish()) == whole

    read = ask._lookup.whole

    def moving(site: str, name: str, buckets: Sequence[str]) -> object:
        """Somebody counts while we read."""
        found = read(site, name, buckets)
        cursor = whole.cursor if "day:2020-11-22" not in buckets else "9999999999999-0"
        return cursor, found[1]

    monkeypatch.setattr(ask._lookup, "whole", moving)
    answer = ask.summary(SITE, "url", span, Wish())
    assert (answer.exact, answer.cursor, answer.hits) == (False, whole.cursor, 9)


def test_more_labels_than_can_be_merged_are_refused_with_advice(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = store(redis, [hit(f"/{n}", at=NOW) for n in range(5)])
    monkeypatch.setattr(module, "MOST_LABELS", 4)
    with pytest.raises(BadQuestion, match="larger buckets") as bad:
        ask.summary(SITE, "url", Span.of(CALENDAR, "day", ("", "", ""), NOW), Wish())
    assert bad.value.name == "from"


def test_a_site_or_summary_that_is_not_known_is_named(redis: Redis) -> None:
    ask = store(redis, [hit(at=NOW)])
    span = Span.of(CALENDAR, "day", ("", "", ""), NOW)
    with pytest.raises(NotKnown, match=r"elsewhere\.example"):
        ask.summary("elsewhere.example", "url", span, Wish())
    with pytest.raises(NotKnown, match=r"elsewhere\.example"):
        ask.hits("elsewhere.example", Window())
    with pytest.raises(NotKnown, match=r"urls.*There are: .*url"):
        ask.series(SITE, "urls", "/", span)


def test_sites_are_told_with_their_numbers_of_today_and_their_last_hit(redis: Redis) -> None:
    hits = [
        hit("/", at=NOW - timedelta(days=1), bytes=7, visitor="a-visitor"),
        hit("/", at=NOW, bytes=5, visitor="a-visitor"),
        hit("/", at=NOW + timedelta(minutes=1), visitor="b-visitor"),
    ]
    ask = store(redis, hits)
    redis.sadd("hitwall:sites", "empty.example")
    empty, site = ask.sites(NOW)
    assert (site.site, site.hits, site.bytes, site.visitors, site.last) == (SITE, 2, 5, 2, hits[-1].at)
    assert (empty.site, empty.hits, empty.visitors, empty.last) == ("empty.example", 0, 0, None)


def test_every_summary_says_what_it_counts(redis: Redis) -> None:
    described = store(redis, []).described()
    assert list(described) == sorted(HOOKS)
    assert all(described.values())


def test_a_cursor_that_is_none_is_set_aside_and_the_numbers_are_there(redis: Redis) -> None:
    RawLog(redis).append(SITE, [hit(at=NOW)], "test", 1)
    Counting.of(SETTINGS, redis).step(SITE)
    redis.hset(keys.cursor(SITE), "url", "\x1b[31m")
    found = Questions.of(SETTINGS, redis).summary(
        SITE, "url", Span.of(CALENDAR, "day", ("2020-11-21", "", ""), NOW), Wish()
    )
    assert (found.hits, found.cursor) == (1, START)
