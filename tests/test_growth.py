"""Growth: what status tells of hits and visitors is what filling a Redis takes."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from redis import Redis

from summaries.buckets import Calendar
from summaries.chosen import chosen
from summaries.counting import Counting
from summaries.retention import PIECE, Retention
from summaries.status import Observer, Status
from tests.hits import FIREFOX, SITE, hit
from tracker import keys
from tracker.hit import Hit
from tracker.raw import encode, milliseconds
from tracker.settings import Settings

EVER = Settings(keep_hour=None, keep_day=None, keep_raw=None, keep_raw_max=0)
BEGIN = datetime(2025, 11, 2, tzinfo=UTC)  # gone by: nobody of then is active, all is kept for ever
A_DAY = 400  # hits
PEOPLE = 150  # visitors a day; some come again on another


def come(redis: Redis, days: range) -> None:
    """The hits of these days after BEGIN, counted; the same ones whenever it is asked."""
    counting = Counting.of(EVER, redis)
    redis.sadd(keys.SITES, SITE)
    for day in days:
        for made in visits(day):
            redis.xadd(keys.raw(SITE), {"hit": encode(made)}, id=f"{milliseconds(made.at)}-1")
        counting.step(SITE)


def visits(day: int) -> Iterator[Hit]:
    dice = Random(day)
    for n in range(A_DAY):
        who = dice.randrange(PEOPLE) + day * 120
        yield hit(
            f"/page/{dice.randrange(60)}",
            at=BEGIN + timedelta(days=day, seconds=n * 86_400 // A_DAY),
            visitor=f"{who:016x}",
            remote=f"203.0.{who // 250 % 250}.{who % 250}",
            agent=FIREFOX,
            title="A title",
            language="de",
            bytes=dice.randrange(2000, 9000),
        )


def observe(redis: Redis, day: int) -> Status:
    return Observer(EVER, redis, list(chosen(EVER).hooks), BEGIN + timedelta(days=day)).status()


def used(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])


@pytest.fixture
def limit(redis: Redis) -> Iterator[None]:
    yield
    redis.config_set("maxmemory", 0)


def test_memory_is_full_on_the_day_that_status_has_told(redis: Redis, limit: None) -> None:
    come(redis, range(14))
    redis.flushdb()
    come(redis, range(7))
    before = used(redis)
    come(redis, range(7, 14))
    after = used(redis)
    redis.flushdb()
    come(redis, range(7))
    redis.config_set("maxmemory", used(redis) + after - before)
    told = observe(redis, 7).forecast
    assert told.days == pytest.approx(7, rel=0.15)


def test_a_hit_and_a_visitor_take_what_status_says(redis: Redis) -> None:
    before = used(redis)
    come(redis, range(5))
    [site] = observe(redis, 5).sites
    found = site.growth
    assert found.hits == pytest.approx(A_DAY, rel=0.05)
    people = {made.visitor for made in visits(3)}
    assert found.visitors == pytest.approx(len(people), rel=0.1)
    taken = sum(redis.memory_usage(name, samples=0) or 0 for name in redis.scan_iter("*:visitor:*"))
    assert found.visits * 5 == pytest.approx(taken, rel=0.15)
    assert found.hit * site.hits == pytest.approx(redis.memory_usage(keys.raw(SITE), samples=0), rel=0.05)
    assert (found.raw + found.visits + found.others) * 5 == pytest.approx(used(redis) - before, rel=0.15)
    assert site.raw_memory + site.counter_memory == pytest.approx(used(redis) - before, rel=0.15)


def test_a_step_of_retention_looks_at_as_many_keys_however_many_are_somebody_elses(redis: Redis) -> None:
    redis.mset({f"somebody:else:{n}": "" for n in range(5000)})
    keeping = Calendar.of(Settings(keep_day=timedelta(days=36_500)))
    counter = keys.counter(SITE, "hits", "url", "day:2025-11-02")
    redis.hset(counter, "/", 1)
    redis.config_resetstat()
    retention = Retention(redis, keeping)
    steps = 0
    while not retention.is_done:
        retention.step(time.time())
        steps += 1
        assert redis.info("commandstats")["cmdstat_scan"]["calls"] <= 2 * steps
    assert steps > 5000 / PIECE
    assert redis.ttl(counter) > 0
