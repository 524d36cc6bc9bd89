"""Clocks that are set back and forward an hour, of web, counter and Redis, at work."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from redis import Redis

from summaries import rounds
from summaries.frame import Rate
from tests.clock import Clock
from tests.faults.ledger import FULL, Table, is_counted, settle, verify
from tests.faults.load import load
from tests.faults.loop import append, counter
from tests.faults.world import OwnRedis, more
from tests.hits import SITE
from tests.service import Service, total
from tests.waiting import until
from tracker import keys
from tracker.raw import RawLog, order
from tracker.settings import Settings

FAULT = "A clock is set back or forward an hour"
HOUR = 3600
WHO = ["web", "counter", "Redis", "all"] if FULL else ["Redis", "all"]
PACE = 0.01  # seconds between two hits of a visitor


@contextmanager
def redis_on(clock: Clock, folder: Path, port: int) -> Iterator[OwnRedis]:
    with ExitStack() as started:
        with clock.given():
            own = started.enter_context(OwnRedis(folder / "redis", port))
        yield own


@contextmanager
def service_on(clocks: dict[str, Clock], url: str) -> Iterator[Service]:
    service = Service(url, max_labels="1000000", canary="0")
    plain = service.environ
    try:
        for name, command in (("counter", "count"), ("web", "serve")):
            service.environ = {**plain, **clocks[name].environ}
            service.start(command)
        yield service
    finally:
        service.stop()


def last(redis: Redis) -> str:
    found = RawLog(redis).before(SITE, "+", 1)
    return found[0][0] if found else "0-0"


@pytest.mark.fault(FAULT)
@pytest.mark.parametrize("who", WHO)
def test_laws_2_3_and_5_hold_whatever_a_clock_does(
    tmp_path: Path, free_port: int, table: Table, who: str
) -> None:
    names = ("web", "counter", "Redis")
    clocks = {name: Clock(tmp_path / name) for name in names}
    moved = [clocks[name] for name in names if who in (name, "all")]
    with ExitStack() as world:
        own = world.enter_context(redis_on(clocks["Redis"], tmp_path, free_port))
        service = world.enter_context(service_on(clocks, own.url))
        redis = world.enter_context(own.client())
        service.hit(f"https://{SITE}/")
        frames = world.enter_context(service.frames(bucket="month"))
        with load(service.base, SITE, pace=PACE) as visitors:
            for step in (-HOUR, HOUR, 0):
                more(visitors, 100)
                for clock in moved:
                    clock.set(step)
                more(visitors, 100)
                newest = last(redis)
                next(frame for frame in frames if order(frame["cursor"]) >= order(newest))
                assert RawLog(redis).whole_since(SITE) == "0-0"
        table.add(
            settle(redis, visitors, "A clock is set back or forward an hour", settings=service.settings)
        )
        newest = last(redis)
        frame = next(frame for frame in frames if frame["cursor"] == newest)
        assert frame["rate"] < 1000  # not of an hour
        assert set(visitors.statuses) == {200}


@pytest.mark.fault(FAULT)
@pytest.mark.parametrize("what", ["the raw log", "everything"])
def test_hits_of_a_log_that_begins_anew_an_hour_earlier_are_counted(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(rounds, "LOOK", 0.1)
    clock = Clock(tmp_path / "clock")
    with redis_on(clock, tmp_path, free_port) as own, own.client() as redis, counter(own.url):
        append(redis, 20, 1)
        until(lambda: total(redis) == 20 and is_counted(redis, SITE))
        before = last(redis)
        clock.set(-HOUR)
        if what == "everything":
            redis.flushall()
        else:
            redis.delete(keys.raw(SITE))
        append(redis, 20, 2)
        assert order(last(redis)) < order(before)
        until(lambda: total(redis) == (20 if what == "everything" else 40) and is_counted(redis, SITE))
        append(redis, 20, 3)
        until(lambda: total(redis) == (40 if what == "everything" else 60))
        if what == "everything":
            verify(redis, SITE, Settings())
        else:  # it says that it lacks the first hits, and nobody takes their numbers away
            assert order(RawLog(redis).whole_since(SITE)) >= order(before)


@pytest.mark.fault(FAULT)
def test_the_lease_of_a_counter_that_was_killed_before_the_clock_went_back_holds_up_nobody(
    tmp_path: Path, free_port: int
) -> None:
    clock = Clock(tmp_path / "clock")
    with redis_on(clock, tmp_path, free_port) as own, own.client() as redis:
        append(redis, 20, 1)
        assert redis.set(keys.LEASE, "a counter that was killed", px=2000)
        clock.set(-HOUR)
        until(lambda: redis.pttl(keys.LEASE) > 1000 * HOUR)
        with counter(own.url):
            until(lambda: total(redis) == 20)


def test_the_rate_of_a_wall_is_that_of_the_last_seconds_whatever_the_clock_does() -> None:
    rate = Rate(0.0)
    for at in [10_000.05 + n / 10 for n in range(200)]:
        rate.add(at, 1)
    assert rate.now(10_020.0) == 10.0
    for at in [6_400.05 + n / 10 for n in range(200)]:  # set back an hour
        rate.add(at, 1)
    assert rate.now(6_420.0) == 10.0
    assert len(rate.arrivals) <= 101
    assert rate.now(10_020.0) == 0.0
