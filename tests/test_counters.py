"""The counters in Redis against a recount, and the announcements against the counters."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from summaries.buckets import KINDS, Calendar
from summaries.counters import WIDEST, Announcement, Batch, Counters, LostCursor, announcement
from summaries.fold import fold
from summaries.frame import Picture, Rate, wanted
from summaries.hooks import in_calendar
from summaries.recent import recent
from tests.hits import NOW, PROPERTY, SITE, generated_hits, hit
from tests.logged import Logged
from tracker import keys
from tracker.hit import Hit
from tracker.raw import START

BERLIN = Calendar(ZoneInfo("Europe/Berlin"), (timedelta(days=14), timedelta(days=400), None))
HOOKS = in_calendar(BERLIN)
MANY = 10_000  # labels; a cap that is not reached
HITS = st.lists(generated_hits(), min_size=1, max_size=10)
HITS |= st.lists(generated_hits(), min_size=20, max_size=60)  # enough to push labels off a top list
LATE = ["language"]  # a summary that counts at its own pace, as one does that is new

Model = dict[tuple[str, str], dict[str, list[int]]]


def batch(hits: Sequence[Hit], start: str, end: str, names: Sequence[str] = tuple(HOOKS)) -> Batch:
    sums = fold(hits, {name: HOOKS[name] for name in names}, BERLIN)
    return Batch(SITE, list(names), start, end, sums, recent(hits), len(hits))


def recount(hits: Sequence[Hit], most: int) -> Model:
    """(summary, bucket) -> label -> [hits, bytes], hit by hit; no more than `most` labels but (other)."""
    counts: Model = {}
    for each in hits:
        local = each.at.astimezone(BERLIN.zone)
        for form in ("hour:%Y-%m-%dT%H", "day:%Y-%m-%d", "month:%Y-%m"):
            for name, hook in HOOKS.items():
                if label := hook(each):
                    labels = counts.setdefault((name, local.strftime(form)), {})
                    full = len(labels.keys() - {"(other)"}) >= most
                    key = "(other)" if full and label not in labels else str(label)
                    sums = labels.setdefault(key, [0, 0])
                    sums[0] += 1
                    sums[1] += each.bytes
    return counts


def stored(redis: Redis) -> Model:
    """The same, from all counters that there are in Redis."""
    counts: Model = {}
    for place, measure in enumerate(keys.MEASURES):
        for name in redis.scan_iter(f"hitwall:{{{SITE}}}:{measure}:*", count=1000):
            key = keys.parse(name.decode())
            assert key is not None
            found: Any = redis.hgetall(name)
            for label, n in found.items():
                sums = counts.setdefault((key.summary, key.bucket), {}).setdefault(label.decode(), [0, 0])
                sums[place] = int(n)
                assert int(n) > 0
    return counts


def everything(redis: Redis) -> dict[bytes, bytes | None]:
    return {key: redis.dump(key) for key in redis.scan_iter(count=1000)}


@given(hits=HITS, sizes=st.lists(st.integers(1, 15)), most=st.sampled_from([1, 2, 4, MANY]))
@PROPERTY
def test_law_3_counters_equal_a_recount_under_any_batching(
    redis: Redis, hits: list[Hit], sizes: list[int], most: int
) -> None:
    redis.flushdb()
    counters = Logged(redis, BERLIN, most)
    done = 0
    for size in [*sizes, len(hits)]:
        part = hits[done : done + size]
        if part:
            start = f"{done}-0" if done else START
            assert counters.apply(batch(part, start, f"{done + len(part)}-0"))
            done += len(part)
    assert stored(redis) == recount(hits, most)
    assert counters.cursors(SITE) == dict.fromkeys(HOOKS, f"{len(hits)}-0")


@given(HITS)
@PROPERTY
def test_law_3_a_batch_applied_twice_is_counted_once(redis: Redis, hits: list[Hit]) -> None:
    redis.flushdb()
    counters = Logged(redis, BERLIN, MANY)
    assert counters.apply(batch(hits, START, "5-0")) is True
    before = everything(redis)
    assert counters.apply(batch(hits, START, "5-0")) is False
    assert counters.apply(batch(hits, "4-0", "6-0")) is False
    assert counters.apply(batch(hits, START, "6-0", ["url"])) is False
    assert everything(redis) == before


def test_law_3_a_batch_is_counted_for_all_of_its_summaries_or_none(redis: Redis) -> None:
    counters = Logged(redis, BERLIN, MANY)
    assert counters.apply(batch([hit()], START, "1-0", ["url"]))
    before = everything(redis)
    assert not counters.apply(batch([hit()], START, "1-0", ["server", "url"]))
    assert everything(redis) == before
    assert counters.apply(batch([hit()], START, "1-0", ["server"]))
    assert counters.cursors(SITE) == {"server": "1-0", "url": "1-0"}


def test_law_3_a_batch_that_meets_something_foreign_is_counted_once_and_what_it_met_is_kept(
    redis: Redis,
) -> None:
    counters = Logged(redis, BERLIN, MANY)
    assert counters.apply(batch([hit("/a", bytes=3), hit("/b")], START, "1-0"))
    day, month = (keys.counter(SITE, "hits", "url", BERLIN.bucket(kind, NOW)) for kind in ("day", "month"))
    redis.set(day, "theirs")
    redis.hset(month, "/b", "no number")
    assert counters.apply(batch([hit("/b")], "1-0", "2-0"))
    assert (redis.hgetall(day), redis.hgetall(month)) == ({b"/b": b"1"}, {b"/a": b"1", b"/b": b"1"})
    assert redis.scard(keys.holes(SITE)) == 2
    assert redis.hgetall(keys.counter(SITE, "hits", "server", BERLIN.bucket("day", NOW))) == {
        b"example.com": b"3"
    }
    assert len(redis.keys("*foreign*")) == 2


def test_law_3_without_a_cursor_nothing_is_added_to_what_is_counted(redis: Redis) -> None:
    counters = Logged(redis, BERLIN, MANY)
    assert counters.apply(batch([hit()], START, "1-0"))
    redis.delete(keys.cursor(SITE))
    before = everything(redis)
    with pytest.raises(LostCursor):
        counters.apply(batch([hit(), hit("/a")], START, "2-0"))
    assert everything(redis) == before
    assert counters.apply(batch([hit(at=NOW + timedelta(days=40))], START, "2-0")) is True  # none of these


@pytest.mark.parametrize("since", [[], ["5-0", "6-0"]], ids=["nothing since", "hits since"])
def test_law_3_a_batch_that_was_read_before_redis_was_emptied_is_not_counted_after_it(
    redis: Redis, since: list[str]
) -> None:
    for name in since:
        redis.xadd(keys.raw(SITE), {"hit": "{}"}, name)
    before = everything(redis)
    assert not Counters(redis, BERLIN, MANY).apply(batch([hit()], START, "1-0"))
    assert everything(redis) == before


def test_sums_stay_at_what_lua_adds_exactly(redis: Redis) -> None:
    counters = Logged(redis, BERLIN, MANY)
    for n in range(5):
        assert counters.apply(batch([hit(bytes=2**52)] * 2, f"{n}-0", f"{n + 1}-0"))
    key = keys.counter(SITE, "bytes", "url", BERLIN.bucket("day", NOW))
    assert redis.hgetall(key) == {b"/": str(2**53).encode()}


class Wall:
    """A picture kept up by announcements alone, and what it would be if it were read now."""

    def __init__(self, redis: Redis, counters: Counters, kind: str) -> None:
        self.counters = counters
        self.bucket = BERLIN.bucket(kind, NOW)
        self.pubsub = redis.pubsub()  # type: ignore[no-untyped-call]
        self.pubsub.subscribe(keys.live(SITE))
        assert self.pubsub.get_message(timeout=5)["type"] == "subscribe"
        self.picture = self.read([])

    def read(self, counted: Sequence[Hit]) -> Picture:
        snapshot = self.counters.read(SITE, wanted(BERLIN, self.bucket, list(HOOKS)))
        newest = json.loads(recent(counted))
        return Picture(SITE, self.bucket, BERLIN, snapshot, newest, Rate(0.0))

    def hear(self) -> Announcement:
        return announcement(self.pubsub.get_message(timeout=5)["data"])

    def frames(self, counted: Sequence[Hit]) -> tuple[dict[str, Any], dict[str, Any]]:
        """As told and as read; hits per second are of the telling alone."""
        told, read = self.picture.frame(NOW), self.read(counted).frame(NOW)
        return told | {"rate": 0}, read | {"rate": 0}


@given(
    hits=HITS,
    steps=st.lists(st.tuples(st.booleans(), st.integers(1, 15)), min_size=1, max_size=12),
    kind=st.sampled_from(KINDS),
    most=st.sampled_from([3, 12, MANY]),
)
@PROPERTY
def test_law_5_a_picture_that_took_each_announcement_is_the_picture_read_anew(
    redis: Redis, hits: list[Hit], steps: list[tuple[bool, int]], kind: str, most: int
) -> None:
    redis.flushdb()
    counters = Logged(redis, BERLIN, most)
    wall = Wall(redis, counters, kind)
    groups = {True: LATE, False: [name for name in HOOKS if name not in LATE]}
    done = {True: 0, False: 0}
    for late, size in steps:
        start, end = done[late], min(len(hits), done[late] + size)
        if end > start:
            made = batch(hits[start:end], f"{start}-0", f"{end}-0", groups[late])
            assert counters.apply(made)
            done[late] = end
            taken = wall.picture.take(wall.hear(), NOW.timestamp())
            assert taken or len(made.sums.runs) > WIDEST
            if not taken:
                wall.picture = wall.read(hits[: done[False]])
            told, read = wall.frames(hits[: done[False]])
            assert told == read
    wall.pubsub.close()


@given(st.lists(st.lists(st.integers(0, 25), min_size=11, max_size=40), min_size=1, max_size=4))
@PROPERTY
def test_law_5_top_lists_are_right_after_batches_of_more_labels_than_they_show(
    redis: Redis, batches: list[list[int]]
) -> None:
    redis.flushdb()
    counters = Logged(redis, BERLIN, 20)
    wall = Wall(redis, counters, "day")
    counted: list[Hit] = []
    for n, numbers in enumerate(batches):
        part = [hit(f"/{number}", visitor=f"visitor-{number}") for number in numbers]
        counted += part
        assert counters.apply(batch(part, f"{n}-0", f"{n + 1}-0"))
        assert wall.picture.take(wall.hear(), 0.0)
        told, read = wall.frames(counted)
        assert told == read
        assert told["visitors"] == min(20, len({each.visitor for each in counted}))
    wall.pubsub.close()


def test_law_5_an_announcement_that_was_missed_or_heard_before_changes_no_picture(redis: Redis) -> None:
    counters = Logged(redis, BERLIN, MANY)
    wall = Wall(redis, counters, "hour")
    for n in range(3):
        assert counters.apply(batch([hit(f"/{n}")], f"{n}-0", f"{n + 1}-0"))
    first, second, third = wall.hear(), wall.hear(), wall.hear()
    assert wall.picture.take(first, 0.0)
    shown = wall.picture.frame(NOW)
    assert wall.picture.take(first, 0.0)  # known already, and so no reason to read
    assert not wall.picture.take(third, 0.0)  # the second is missing: it has to be read
    assert wall.picture.frame(NOW) == shown
    assert wall.picture.take(second, 0.0)
    assert wall.picture.take(third, 0.0)
    assert wall.picture.frame(NOW)["hits"] == 3
    wall.pubsub.close()


def test_only_what_was_counted_is_announced_and_a_wide_batch_only_that_it_was(redis: Redis) -> None:
    counters = Logged(redis, BERLIN, MANY)
    wall = Wall(redis, counters, "hour")
    wide = [hit(at=NOW + timedelta(hours=n)) for n in range(WIDEST + 1)]
    counters.apply(batch([hit("/a")], START, "1-0"))
    counters.apply(batch([hit("/a")], START, "1-0"))
    counters.apply(batch(wide[:-1], "1-0", "2-0"))
    counters.apply(batch(wide, "2-0", "3-0"))
    heard = [wall.hear() for _ in range(3)]
    assert [(news.start, news.end, news.hits, news.quiet) for news in heard] == [
        (START, "1-0", 1, False),
        ("1-0", "2-0", WIDEST, False),
        ("2-0", "3-0", WIDEST + 1, True),
    ]
    assert [bool(news.entries) for news in heard] == [True, True, False]
    assert ("url", BERLIN.bucket("hour", NOW), 1, False, [("/a", 1, 0)]) in heard[0].entries
    assert wall.picture.take(heard[2], 0.0) is False
    wall.pubsub.close()


def test_law_10_labels_beyond_the_cap_count_under_other_and_totals_stay_exact(redis: Redis) -> None:
    counters = Logged(redis, BERLIN, 2)
    counters.apply(batch([hit(f"/{n}", bytes=1) for n in "abcabd"], START, "1-0"))
    counters.apply(batch([hit(f"/{n}") for n in "aeb"], "1-0", "2-0"))
    bucket = BERLIN.bucket("day", NOW)
    found = redis.hgetall(keys.counter(SITE, "hits", "url", bucket))
    assert found == {b"/a": b"3", b"/b": b"3", b"(other)": b"3"}
    tally = counters.read(SITE, {("url", bucket): None}).tallies["url", bucket]
    assert (tally.hits(), tally.bytes(), tally.distinct, tally.capped) == (9, 6, 2, True)


def test_counters_expire_with_their_bucket_and_those_of_months_never(redis: Redis) -> None:
    Logged(redis, BERLIN, MANY).apply(batch([hit(bytes=3)], START, "1-0"))
    seconds = int(redis.time()[0])
    for kind, measure in ((kind, measure) for kind in KINDS for measure in keys.MEASURES):
        bucket = BERLIN.bucket(kind, NOW)
        left = redis.ttl(keys.counter(SITE, measure, "url", bucket))
        expires = BERLIN.expires(bucket)
        assert left == -1 if expires is None else abs(seconds + left - expires) <= 2
    assert redis.ttl(keys.cursor(SITE)) == -1


def test_bytes_are_absent_while_they_are_all_0(redis: Redis) -> None:
    counters = Logged(redis, BERLIN, MANY)
    key = keys.counter(SITE, "bytes", "url", BERLIN.bucket("hour", NOW))
    counters.apply(batch([hit("/a"), hit("/b")], START, "1-0"))
    assert not redis.exists(key)
    counters.apply(batch([hit("/b", bytes=7)], "1-0", "2-0"))
    assert redis.hgetall(key) == {b"/b": b"7"}


def test_visitors_of_the_last_minutes_are_active(redis: Redis) -> None:
    def seen(visitor: str, minutes_ago: int) -> Hit:
        return hit(visitor=visitor, at=NOW - timedelta(minutes=minutes_ago))

    counters = Logged(redis, BERLIN, MANY)
    assert counters.active(SITE, NOW) == 0
    hits = [seen("a", 0), seen("a", 1), seen("b", 1), seen("c", 4), seen("d", 5), hit()]
    counters.apply(batch(hits, START, "1-0"))
    assert counters.active(SITE, NOW) == 3
    assert counters.active(SITE, NOW, minutes=1) == 1
    assert counters.active(SITE, NOW + timedelta(minutes=3)) == 2
    key = keys.active(SITE, NOW)
    minute = datetime.timestamp(NOW.replace(second=0))
    assert abs(int(redis.time()[0]) + redis.ttl(key) - (minute + 900)) <= 2


def test_every_key_of_a_batch_is_one_that_keys_knows(redis: Redis) -> None:
    Logged(redis, BERLIN, MANY).apply(batch([hit(bytes=1, visitor="abcdefgh")], START, "1-0"))
    found = [keys.parse(key.decode()) for key in redis.scan_iter(count=1000)]
    assert {key.kind for key in found if key} == {"counter", "cursor", "active", "raw"}
    assert None not in found
