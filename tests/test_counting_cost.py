"""What counting asks of hooks, of Redis and of the process, however much is counted already."""

import gc
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from summaries.announcement import announcement
from summaries.buckets import Calendar
from summaries.chosen import is_bot
from summaries.counters import Batch, Counters
from summaries.counting import Counting
from summaries.fold import BOT, fold
from summaries.hooks import in_calendar
from summaries.looks import Look, look_of, looks_at
from summaries.rounds import run
from tests.hits import CHROME, FIREFOX, NOW, SITE, hit
from tests.logged import Logged
from tests.waiting import until
from tracker import keys
from tracker.hit import Hit
from tracker.raw import RawLog, encode
from tracker.settings import Settings

UTC_CALENDAR = Calendar(ZoneInfo("UTC"), (timedelta(days=14), None, None))
HOOKS = in_calendar(UTC_CALENDAR)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
HINTS: list[dict[str, str]] = [
    {},
    {"Sec-CH-UA-Platform": '"Android"', "Sec-CH-UA-Mobile": "?1"},
    {"Sec-Ch-Ua-Platform": '"Windows"', "DNT": "1"},
    {"Sec-CH-UA-Mobile": "?1"},
]
PARAMS: list[dict[str, str]] = [{}, {"page": "1"}, {"utm_source": "a"}, {"UTM_Source": "b", "x": "y"}]
ALIKE = st.lists(
    st.builds(
        Hit,
        at=st.sampled_from([NOW + timedelta(seconds=n) for n in (0, 1, 48, 49, 3600, 90000)]),
        site=st.just(SITE),
        path=st.sampled_from(["/", "/a", "/a/"]),
        source=st.just("pixel"),
        title=st.sampled_from(["", "A", "B"]),
        referrer=st.sampled_from(["", "https://lobste.rs/", "https://example.com/a"]),
        remote=st.sampled_from(["", "203.0.113.7"]),
        visitor=st.sampled_from(["", "one", "two"]),
        agent=st.sampled_from(["", FIREFOX, CHROME, GOOGLEBOT]),
        language=st.sampled_from(["", "de", "de-DE,de"]),
        event=st.sampled_from(["", "", "signup"]),
        status=st.sampled_from([0, 200, 404]),
        bytes=st.integers(0, 3),
        headers=st.sampled_from(HINTS),
        params=st.sampled_from(PARAMS),
    ),
    max_size=25,
)


def labels(found: object) -> list[str]:
    """What a hook has answered."""
    if isinstance(found, Iterable) and not isinstance(found, str):
        return list(found)
    return [str(found)] if found else []


@settings(deadline=None)  # the patterns of browsers are loaded with the first
@given(hits=ALIKE, with_bots=st.booleans())
def test_hits_that_look_alike_to_a_hook_count_as_if_it_were_asked_for_each(
    hits: list[Hit], with_bots: bool
) -> None:
    expected: Counter[tuple[str, str, str]] = Counter()
    sizes: Counter[tuple[str, str, str]] = Counter()
    people = [each for each in hits if with_bots or not is_bot(each)]
    for name, hook in HOOKS.items():
        for each in hits if name == BOT else people:
            for label in labels(hook(each)):
                place = name, UTC_CALENDAR.names(each.at)[0], label
                expected[place] += 1
                sizes[place] += each.bytes
    sums = fold(hits, HOOKS, UTC_CALENDAR, *([] if with_bots else [is_bot]))
    found: Counter[tuple[str, str, str]] = Counter()
    found_sizes: Counter[tuple[str, str, str]] = Counter()
    for part in sums.runs:
        for name, tallies in part.sums.items():
            for label, (number, size) in tallies.items():
                found[name, part.buckets[0], label] += number
                found_sizes[name, part.buckets[0], label] += size
    assert (found, found_sizes) == (expected, sizes)
    assert sums.people == people


def test_every_standard_hook_says_what_it_looks_at() -> None:
    assert [name for name, hook in HOOKS.items() if look_of(hook) is None] == []


def test_a_hook_that_says_what_it_looks_at_is_asked_once_for_all_hits_that_are_the_same_in_it() -> None:
    asked: list[str] = []

    @looks_at(lambda one: one.path)
    def section(one: Hit) -> str:
        asked.append(one.path)
        if one.path == "/bad":
            raise RuntimeError
        return one.path[1:]

    hits = [hit(path, bytes=2) for path in ("/a", "/b", "/a", "/bad", "/bad", "/a")]
    sums = fold(hits, {"section": section}, UTC_CALENDAR)
    assert asked == ["/a", "/b", "/bad"]
    assert sums.runs[0].sums["section"] == {"a": [3, 6], "b": [1, 2]}
    assert sums.failures == {"section": 2}  # each hit that it would have failed on


@pytest.mark.parametrize("look", [lambda one: one.params, lambda one: 1 / 0], ids=["no hash", "raises"])
def test_law_4_a_hook_whose_look_fails_is_asked_for_each_hit(look: Look) -> None:
    @looks_at(look)
    def section(one: Hit) -> str:
        return one.path[1:]

    hits = [hit(path, params={"n": path}) for path in ("/a", "/b", "/a")]
    sums = fold(hits, {"section": section}, UTC_CALENDAR)
    assert (sums.runs[0].sums["section"], sums.failures) == ({"a": [2, 0], "b": [1, 0]}, {})


def test_a_hook_of_which_nothing_is_known_is_asked_for_each_hit() -> None:
    asked = []

    def section(one: Hit) -> None:
        asked.append(one.path)

    fold([hit("/a"), hit("/b"), hit("/a")], {"section": section}, UTC_CALENDAR)
    assert asked == ["/a", "/b", "/a"]


def apply(counters: Counters, number: int, visitors: Iterable[int]) -> None:
    """The batch of that number: these visitors, each on some page."""
    hits = [hit(f"/{n % 5}", visitor=f"visitor-{n:04}", agent=FIREFOX, bytes=50_000) for n in visitors]
    sums = fold(hits, HOOKS, UTC_CALENDAR)
    assert counters.apply(Batch(SITE, list(HOOKS), f"{number}-0", f"{number + 1}-0", sums))


def calls(redis: Redis) -> Counter[str]:
    stats: Any = redis.info("commandstats")
    ours = ("hmget", "hset", "hlen", "ttl", "expireat", "xrange", "pfadd", "publish", "hget", "get")
    return Counter({name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ours})


@pytest.mark.parametrize("new", [0, 20], ids=["the same visitors", "others each time"])
def test_the_hundredth_batch_of_a_day_asks_no_more_of_redis_than_the_second(redis: Redis, new: int) -> None:
    counters = Logged(redis, UTC_CALENDAR, 10_000)
    spent: list[Counter[str]] = []
    told: list[int] = []
    with redis.pubsub() as heard:  # type: ignore[no-untyped-call]
        heard.subscribe(keys.live(SITE))
        assert heard.get_message(timeout=5)["type"] == "subscribe"
        for number in range(100):
            before = calls(redis)
            apply(counters, number, range(number * new, number * new + 20))
            spent.append(calls(redis) - before)
            told.append(len(heard.get_message(timeout=5)["data"]))
    assert spent[99] == spent[1]
    assert spent[0] - spent[1] == Counter(expireat=spent[0]["expireat"] - 1)  # when the keys are new
    assert told[99] < 1.3 * told[1]  # larger numbers, no more of them
    assert redis.hlen(keys.counter(SITE, "hits", "visitor", UTC_CALENDAR.bucket("day", NOW))) == 20 + 99 * new


def test_visitors_are_announced_by_their_number_alone(redis: Redis) -> None:
    counters = Logged(redis, UTC_CALENDAR, 10_000)
    with redis.pubsub() as heard:  # type: ignore[no-untyped-call]
        heard.subscribe(keys.live(SITE))
        assert heard.get_message(timeout=5)["type"] == "subscribe"
        apply(counters, 0, range(30))
        packed = heard.get_message(timeout=5)["data"]
    told = {
        (name, bucket): (distinct, rows) for name, bucket, distinct, _, rows in announcement(packed).entries
    }
    assert told["visitor", UTC_CALENDAR.bucket("day", NOW)] == (30, [])
    assert b"visitor-" not in packed


def test_a_counter_that_has_lost_its_expiry_gets_it_back_with_the_next_batch(redis: Redis) -> None:
    counters = Logged(redis, UTC_CALENDAR, 10_000)
    apply(counters, 0, [1])
    names = [keys.counter(SITE, kind, "url", UTC_CALENDAR.bucket("hour", NOW)) for kind in keys.MEASURES]
    for name in names:
        assert redis.persist(name)
    apply(counters, 1, [1])
    assert min(redis.ttl(name) for name in names) > 0


def test_an_entry_with_further_fields_is_read_by_its_hit(redis: Redis) -> None:
    fields = [{"hit": encode(hit("/a")), "more": "x"}, {"more": "x", "hit": encode(hit("/b"))}]
    for each in fields:
        redis.xadd(keys.raw(SITE), each)  # type: ignore[arg-type]
    found = RawLog(redis).after(SITE, "0-0", 10)
    assert [each.path for _, each in found if each] == ["/a", "/b"]


@pytest.mark.parametrize("was_on", [True, False])
def test_a_step_leaves_the_search_for_circles_as_it_was(redis: Redis, was_on: bool) -> None:
    seen = []

    def look(one: Hit) -> str:
        seen.append(gc.isenabled())
        return "seen"

    mine = Counting.of(Settings(), redis)
    mine.hooks = {**mine.hooks, "look": look}
    RawLog(redis).append(SITE, [hit(agent=FIREFOX)], "test", 1)
    before = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        assert mine.step(SITE).hits == 1
        assert gc.isenabled() is was_on
        redis.set(keys.raw(SITE), "theirs")
        with suppress(Exception):
            mine.step(SITE)
        assert gc.isenabled() is was_on
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [False]


def test_hits_that_come_in_quick_succession_are_counted_together(redis: Redis, redis_url: str) -> None:
    stop, raw = Event(), RawLog(redis)
    with Redis.from_url(redis_url) as own, redis.pubsub() as heard:  # type: ignore[no-untyped-call]
        heard.subscribe(keys.live(SITE))
        assert heard.get_message(timeout=5)["type"] == "subscribe"
        thread = Thread(target=run, args=(Settings(), own, stop))
        thread.start()
        for n in range(1, 101):
            raw.append(SITE, [hit(agent=FIREFOX, at=datetime.now(UTC))], "test", n)
            stop.wait(0.004)  # 250 hits a second, and no more than some 13 batches
        day = keys.counter(SITE, "hits", "server", UTC_CALENDAR.bucket("day", datetime.now(UTC)))
        until(lambda: redis.hget(day, SITE) == b"100")
        stop.set()
        thread.join(10)
        batches = 0
        while heard.get_message(timeout=0.1):
            batches += 1
    assert 1 <= batches < 50
