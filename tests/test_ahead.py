"""Ahead: the next batch is made ready while Redis counts one, and each hit is counted once all the same."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from summaries.counters import UNREADABLE
from summaries.counting import Counting
from summaries.pace import BATCH, LARGEST
from tests.hits import FIREFOX, PROPERTY, SITE, hit
from tests.waiting import until
from tracker import keys
from tracker.hit import Hit
from tracker.raw import RawLog
from tracker.settings import Settings

DAY = "day:2126-11-21"
OTHER = "other.example"


@pytest.fixture
def mine(redis: Redis) -> Counting:
    return Counting.of(Settings(), redis)


def append(redis: Redis, hits: int, position: int = 1, site: str = SITE) -> None:
    made = [hit(f"/{n}", site=site, agent=FIREFOX) for n in range(hits)]
    RawLog(redis).append(site, made, "test", position)


def counted(redis: Redis, site: str = SITE, summary: str = "server") -> int:
    found = redis.hvals(keys.counter(site, "hits", summary, DAY))
    return sum(map(int, found))


def count_all(counting: Counting, site: str = SITE, limit: int = 10) -> int:
    """The hits that its steps tell of, until there are no more."""
    done = 0
    while hits := counting.step(site, limit).hits:
        done += hits
    return done


def test_the_next_batch_is_folded_while_redis_counts_one(redis: Redis, mine: Counting) -> None:
    append(redis, 20)
    seen: list[int] = []

    def look(one: Hit) -> str:
        if one.path == "/10":  # the first of the second batch
            until(lambda: counted(redis) == 10)
            seen.append(counted(redis))
        return ""

    mine.hooks = {**mine.hooks, "look": look}
    assert mine.step(SITE, 10).hits == 10
    assert seen == [10]
    assert [mine.step(SITE, 10).hits, mine.step(SITE, 10).hits, counted(redis)] == [10, 0, 20]


def test_what_is_ready_is_dropped_where_another_counter_was_first(redis: Redis, mine: Counting) -> None:
    append(redis, 45)
    assert mine.step(SITE, 10).hits == 10
    assert count_all(Counting.of(Settings(), redis)) == 35
    append(redis, 7, 2)
    assert mine.step(SITE, 10).hits == 0  # refused
    assert mine.step(SITE, 10).hits == 7
    assert counted(redis) == counted(redis, summary="url") == 52


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([3, 5]), st.integers(0, 9)), max_size=20))
@PROPERTY
def test_law_3_counters_that_both_work_ahead_while_hits_come_in_count_each_once(
    redis: Redis, turns: list[tuple[int, int, int]]
) -> None:
    redis.flushdb()
    several = [Counting.of(Settings(), redis), Counting.of(Settings(), redis)]
    told = 0
    for position, (who, limit, more) in enumerate(turns, 1):
        append(redis, more, position)
        told += several[who].step(SITE, limit).hits
    for each in several:
        each.reread()
        told += count_all(each)
    assert told == counted(redis) == redis.xlen(keys.raw(SITE))


def test_law_3_two_counters_race_with_batches_ahead_while_hits_come_in(redis: Redis, redis_url: str) -> None:
    stop = Event()

    def race() -> int:
        won = 0
        with Redis.from_url(redis_url) as own:
            counting = Counting.of(Settings(), own)
            while not stop.is_set():
                won += counting.step(SITE, 20).hits
            counting.reread()
            return won + count_all(counting)

    with ThreadPoolExecutor(2) as pool:
        racers = [pool.submit(race) for _ in range(2)]
        try:
            for position in range(1, 41):
                append(redis, 50, position)
        finally:
            stop.set()
        assert sum(racer.result() for racer in racers) == 2000
    assert counted(redis) == counted(redis, summary="url") == 2000


def test_hits_that_were_read_before_their_log_was_deleted_are_counted(redis: Redis, mine: Counting) -> None:
    append(redis, 45)
    assert mine.step(SITE, 10).hits == 10
    redis.delete(keys.raw(SITE))
    assert count_all(mine) == 20  # ready, and read
    append(redis, 8, 2)
    assert count_all(mine) == 8
    assert counted(redis) == 38


def test_nothing_of_before_is_counted_when_all_data_was_deleted(redis: Redis, mine: Counting) -> None:
    append(redis, 45)
    assert mine.step(SITE, 10).hits == 10
    redis.flushdb()
    append(redis, 8)
    assert mine.step(SITE, 10).hits == 0  # refused
    assert count_all(mine) == 8
    assert counted(redis) == counted(redis, summary="url") == 8


def test_a_lost_cursor_drops_what_is_ready(redis: Redis, mine: Counting) -> None:
    append(redis, 45)
    assert mine.step(SITE, 10).hits == 10
    redis.hdel(keys.cursor(SITE), "url")
    assert mine.step(SITE, 10).hits == 0  # refused
    assert count_all(mine) == 35
    assert counted(redis) == 45
    assert set(redis.hvals(keys.cursor(SITE))) == {mine.cursor(SITE).encode()}


def test_a_summary_that_is_new_is_counted_from_the_beginning(redis: Redis, mine: Counting) -> None:
    append(redis, 45)
    mine.step(SITE, 10)
    mine.hooks = {**mine.hooks, "section": lambda one: "new"}
    mine.reread()
    count_all(mine)
    assert counted(redis) == counted(redis, summary="section") == 45


def test_sites_that_are_behind_take_turns(redis: Redis, mine: Counting) -> None:
    append(redis, 45)
    append(redis, 45, site=OTHER)
    for _ in range(6):
        for site in (SITE, OTHER):
            mine.step(site, 10)
    assert [counted(redis), counted(redis, OTHER)] == [45, 45]


def test_what_could_not_be_counted_is_noted_once(redis: Redis, mine: Counting) -> None:
    append(redis, 15)
    redis.xadd(keys.raw(SITE), {"hit": "broken"})
    append(redis, 14, 2)

    def picky(one: Hit) -> str:
        raise RuntimeError("no")

    mine.hooks = {**mine.hooks, "picky": picky}
    assert mine.step(SITE, 10).hits == 10
    mine.reread()  # what is ready was folded in vain
    assert count_all(mine) == 20
    failed = next(redis.scan_iter("hitwall:*:failed:*"))
    assert redis.hgetall(failed) == {b"picky": b"29", UNREADABLE.encode(): b"1"}


def test_batches_grow_while_redis_is_quick_up_to_a_bound(redis: Redis, mine: Counting) -> None:
    for position in range(1, 6):
        RawLog(redis).append(SITE, [hit(agent=FIREFOX)] * BATCH, "test", position)
    sizes = []
    while hits := mine.step(SITE).hits:
        sizes.append(hits)
    assert (sizes[0], sum(sizes), max(sizes) <= LARGEST) == (BATCH, 5 * BATCH, True)
    assert counted(redis) == 5 * BATCH
