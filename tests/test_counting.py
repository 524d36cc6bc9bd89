"""Counting: each hit once, by however many counters, whatever they find in the log."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event, Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from summaries import counting_report, lease
from summaries.buckets import Calendar
from summaries.counters import Counters
from summaries.counting import Counting, Step
from summaries.hooks import Hook
from summaries.lease import LEASE, Lease
from summaries.rounds import run
from tests.hits import NOW, PROPERTY, SITE, hit
from tests.waiting import until
from tracker import keys
from tracker.hit import Hit
from tracker.raw import START, RawLog, encode
from tracker.settings import Settings

DAY = "day:2126-11-21"
NOTHING = Step()


def counter(redis: Redis, **hooks: Hook) -> Counting:
    """A counting process's heart; hooks are summaries besides the standard ones."""
    made = Counting.of(Settings(), redis)
    made.hooks = {**made.hooks, **hooks}
    return made


def append(redis: Redis, hits: int, position: int = 1) -> None:
    RawLog(redis).append(SITE, [hit(f"/{n % 7}") for n in range(hits)], "test", position)


def counts(redis: Redis, summary: str = "server") -> dict[str, int]:
    found: Any = redis.hgetall(keys.counter(SITE, "hits", summary, DAY))
    return {label.decode(): int(hits) for label, hits in found.items()}


def cursors(redis: Redis) -> dict[str, str]:
    found: Any = redis.hgetall(keys.cursor(SITE))
    return {name.decode(): place.decode() for name, place in found.items()}


def last(redis: Redis) -> str:
    return RawLog(redis).before(SITE, "+", 1)[0][0]


def section(hit: Hit) -> str:
    return "new"


def test_a_step_counts_one_batch_and_says_how_many(redis: Redis) -> None:
    append(redis, 25)
    mine = counter(redis)
    assert [mine.step(SITE, 10).hits for _ in range(4)] == [10, 10, 5, 0]
    assert counts(redis) == {SITE: 25}
    assert counts(redis, "url") == {f"/{n}": 4 if n < 4 else 3 for n in range(7)}
    assert set(cursors(redis).values()) == {last(redis)} == {mine.cursor(SITE)}
    assert mine.step("silent.example") == NOTHING


def test_the_lag_of_a_step_is_the_age_of_its_oldest_hit(redis: Redis) -> None:
    append(redis, 2)
    assert 0 <= counter(redis).step(SITE).lag < 10
    old = int(last(redis).partition("-")[0]) - 7_000
    redis.flushdb()
    redis.xadd(keys.raw(SITE), {"hit": encode(hit())}, id=f"{old}-0")
    assert 7 <= counter(redis).step(SITE).lag < 17


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 7), st.booleans()), max_size=30))
@PROPERTY
def test_law_3_counters_that_take_turns_at_random_count_each_hit_once(
    redis: Redis, turns: list[tuple[int, int, bool]]
) -> None:
    redis.flushdb()
    several = [counter(redis), counter(redis), counter(redis)]
    for position, (who, limit, more) in enumerate(turns, 1):
        if more:
            append(redis, limit, position)
        several[who].step(SITE, limit)
    append(redis, 1, len(turns) + 1)
    for each in several:
        while each.cursor(SITE) != last(redis):
            each.step(SITE)
    assert counts(redis) == {SITE: redis.xlen(keys.raw(SITE))}
    assert sum(counts(redis, "url").values()) == redis.xlen(keys.raw(SITE))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 7)), max_size=20))
@PROPERTY
def test_law_3_counters_that_take_turns_while_a_summary_is_behind_count_each_hit_once(
    redis: Redis, turns: list[tuple[int, int]]
) -> None:
    redis.flushdb()
    append(redis, 20)
    counter(redis).step(SITE, 12)
    several = [counter(redis, section=section), counter(redis, section=section)]
    for who, limit in turns:
        several[who].step(SITE, limit)
    for each in several:
        while each.cursor(SITE) != last(redis):
            each.step(SITE)
    assert (counts(redis), counts(redis, "section")) == ({SITE: 20}, {"new": 20})


def test_law_3_two_counters_racing_over_5000_hits_count_5000(redis: Redis, redis_url: str) -> None:
    append(redis, 5000)
    end, begin = last(redis), Barrier(3)

    def race() -> int:
        won = 0
        with Redis.from_url(redis_url) as own:
            mine = counter(own)
            begin.wait(10)
            while mine.cursor(SITE) != end:
                won += mine.step(SITE, 50).hits
        return won

    with ThreadPoolExecutor(3) as pool:
        racers = [pool.submit(race) for _ in range(3)]
        assert sum(racer.result() for racer in racers) == 5000
    assert counts(redis) == {SITE: 5000}
    assert sum(counts(redis, "url").values()) == 5000


def test_a_new_summary_starts_at_the_beginning_catches_up_and_joins(redis: Redis) -> None:
    append(redis, 20)
    counter(redis).step(SITE)
    old = counts(redis, "url")
    mine = counter(redis, section=section)
    assert mine.cursor(SITE) == START
    mine.step(SITE, 15)
    assert counts(redis, "section") == {"new": 15}
    mine.step(SITE, 15)
    assert counts(redis, "section") == {"new": 20}
    assert counts(redis, "url") == old
    append(redis, 5, 2)
    assert mine.step(SITE).hits == 5
    assert set(cursors(redis).values()) == {last(redis)}
    assert (counts(redis), counts(redis, "section")) == ({SITE: 25}, {"new": 25})


def test_a_new_summary_joins_while_hits_keep_coming(redis: Redis) -> None:
    append(redis, 20)
    counter(redis).step(SITE)
    mine = counter(redis, section=section)
    for position in range(2, 8):
        append(redis, 3, position)
        mine.step(SITE)
    assert len(set(cursors(redis).values())) == 1


def test_entries_that_cannot_be_read_are_passed_and_told(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    append(redis, 3)
    for fields in ({"hit": "broken"}, {"other": "field"}):
        redis.xadd(keys.raw(SITE), fields)  # type: ignore[arg-type]
    append(redis, 2, 2)
    assert counter(redis).step(SITE).hits == 7
    assert counts(redis) == {SITE: 5}
    assert set(cursors(redis).values()) == {last(redis)}
    assert "example.com: 2 entries of the raw log cannot be read" in caplog.messages


def test_a_batch_of_unreadable_entries_alone_is_passed(redis: Redis) -> None:
    redis.xadd(keys.raw(SITE), {"hit": "broken"})
    mine = counter(redis)
    assert [mine.step(SITE).hits, mine.step(SITE).hits] == [1, 0]
    assert counts(redis) == {}


def test_law_4_a_hook_that_fails_is_logged_once_a_minute_with_what_it_has_lost(
    redis: Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def picky(hit: Hit) -> str:
        raise RuntimeError("no")

    mine = counter(redis, picky=picky)
    logged: list[list[str]] = []
    for position in (1, 2, 3):
        if position == 3:
            monkeypatch.setattr(counting_report, "MINUTE", 0.0)  # the minute is over
        caplog.clear()
        append(redis, position, position)
        mine.step(SITE)
        logged.append(caplog.messages)
    lost = "summary picky failed on {} hits: RuntimeError('no')"
    assert logged == [[lost.format(1)], [], [lost.format(5)]]
    assert caplog.records[-1].exc_info
    told = [redis.hgetall(key) for key in redis.scan_iter("hitwall:*:failed:*")]
    assert sum(int(hits) for account in told for hits in account.values()) == 6  # for walls and status
    assert (counts(redis), counts(redis, "picky")) == ({SITE: 6}, {})


def forgetting(redis: Redis, keep: timedelta | None) -> Counting:
    mine = counter(redis)
    mine.keep_raw = keep
    return mine


@pytest.mark.parametrize("counted", [0, 300, 1000])
def test_law_11_raw_hits_are_never_forgotten_before_they_are_counted(redis: Redis, counted: int) -> None:
    append(redis, 1000)
    mine = forgetting(redis, timedelta(days=1))
    if counted:
        mine.step(SITE, counted)
    mine.forget(SITE, NOW)  # a hundred years from now
    left = redis.xlen(keys.raw(SITE))
    assert left == 1000 - max(0, counted - 1)
    while mine.step(SITE).hits:
        pass
    assert counts(redis) == {SITE: 1000}


def test_law_11_a_summary_that_is_behind_keeps_the_raw_hits_that_it_has_to_count(redis: Redis) -> None:
    append(redis, 1000)
    forgetting(redis, None).step(SITE)
    mine = forgetting(redis, timedelta(days=1))
    mine.hooks = {**mine.hooks, "section": section}
    mine.forget(SITE, NOW)
    mine.step(SITE)
    assert counts(redis, "section") == {"new": 1000}


def test_law_10_raw_hits_are_forgotten_by_age_whatever_summaries_were_once_installed(redis: Redis) -> None:
    append(redis, 1000)
    counter(redis, section=section).step(SITE, 100)
    mine = forgetting(redis, timedelta(days=1))  # without section
    mine.step(SITE)
    mine.forget(SITE, NOW)
    assert redis.xlen(keys.raw(SITE)) < 200


@pytest.mark.parametrize("counted", [0, 1, 1000, 2990, 3000])
def test_law_11_a_log_that_is_too_long_is_cut_to_its_length_but_not_beyond_what_is_counted(
    redis: Redis, counted: int
) -> None:
    append(redis, 3000)
    mine = counter(redis)
    mine.keep_raw, mine.keep_raw_max = None, 500
    if counted:
        mine.step(SITE, counted)
    mine.forget(SITE, NOW)
    left, wanted = redis.xlen(keys.raw(SITE)), max(500, 3000 - counted)
    assert wanted <= left < wanted + 200
    assert (mine.raw.whole_since(SITE) == START) == (left == 3000)
    while mine.step(SITE).hits:
        pass
    assert counts(redis) == {SITE: 3000}
    mine.forget(SITE, NOW)
    assert 500 <= redis.xlen(keys.raw(SITE)) < 600


def test_law_10_a_log_that_is_much_too_long_is_cut_at_once(redis: Redis) -> None:
    pipe = redis.pipeline(transaction=False)
    for n in range(1, 25_001):
        pipe.xadd(keys.raw(SITE), {"hit": "x"}, id=f"{n}-0")
    pipe.execute()
    mine = counter(redis)
    redis.hset(keys.cursor(SITE), mapping=dict.fromkeys(mine.hooks, "25000-0"))
    mine.keep_raw, mine.keep_raw_max = None, 500
    mine.forget(SITE, NOW)
    assert 500 <= redis.xlen(keys.raw(SITE)) <= 600


def test_law_11_a_log_that_is_too_long_waits_for_the_summary_that_lags(redis: Redis) -> None:
    append(redis, 3000)
    counter(redis).step(SITE, 3000)
    mine = counter(redis, section=section)
    mine.keep_raw, mine.keep_raw_max = None, 500
    mine.forget(SITE, NOW)
    assert redis.xlen(keys.raw(SITE)) == 3000
    mine.step(SITE, 1000)
    mine.forget(SITE, NOW)
    assert 2000 <= redis.xlen(keys.raw(SITE)) < 2100
    mine.step(SITE, 2000)
    assert counts(redis, "section") == {"new": 3000}


def test_a_counter_expires_with_its_age_and_is_not_written_any_more(redis: Redis) -> None:
    mine = counter(redis)
    end = datetime(2015, 5, 18, 9, tzinfo=UTC)
    seconds = int(redis.time()[0]) + 1
    keep = timedelta(seconds=seconds - end.timestamp())  # an hour of 2015 expires in a second
    mine.counters = Counters(redis, Calendar(ZoneInfo("UTC"), (keep, None, None)), 100)
    RawLog(redis).append(SITE, [hit(at=end - timedelta(minutes=3), bytes=7)], "test", 1)
    mine.step(SITE)
    assert until(lambda: not redis.keys("*hour:2015*"))
    RawLog(redis).append(SITE, [hit(at=end - timedelta(minutes=3), bytes=7)], "test", 2)
    assert mine.step(SITE).hits == 1
    assert not redis.keys("*hour:2015*")
    assert redis.hget(keys.counter(SITE, "hits", "server", "day:2015-05-18"), SITE) == b"2"


@pytest.mark.parametrize("keep", [None, timedelta(days=30), timedelta(days=99_999)])
def test_raw_hits_that_are_young_enough_are_kept(redis: Redis, keep: timedelta | None) -> None:
    append(redis, 500)
    mine = forgetting(redis, keep)
    mine.step(SITE)
    mine.forget(SITE, NOW - timedelta(days=36_500))
    assert redis.xlen(keys.raw(SITE)) == 500


def test_one_counter_holds_the_lease_until_it_lets_go(redis: Redis) -> None:
    one, other = Lease(redis), Lease(redis)
    assert [one.hold(), other.hold(), one.hold()] == [True, False, True]
    other.release()  # not its own
    assert other.hold() is False
    one.release()
    assert other.hold() is True
    assert 0 < redis.pttl(keys.LEASE) <= LEASE * 1000


def test_another_takes_the_lease_of_one_that_was_killed(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE", 0.2)
    killed, other = Lease(redis), Lease(redis)
    assert killed.hold()
    assert not other.hold()
    assert until(other.hold)
    assert until(lambda: not killed.hold())  # should it not have been killed after all
    assert other.hold()


def test_a_lease_that_is_held_is_renewed(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE", 0.4)
    one, other = Lease(redis), Lease(redis)
    assert one.hold()
    token = redis.get(keys.LEASE)
    left = [redis.pttl(keys.LEASE)]

    def renewed() -> bool:
        assert one.hold()
        left.append(redis.pttl(keys.LEASE))
        return left[-1] > left[-2]

    assert until(renewed)
    assert until(renewed)
    assert redis.get(keys.LEASE) == token
    assert not other.hold()


@contextmanager
def running(redis_url: str) -> Iterator[Callable[[], None]]:
    """A `run` in a thread with a connection of its own; what is given stops it."""
    stop = Event()
    with Redis.from_url(redis_url) as own:
        thread = Thread(target=run, args=(Settings(), own, stop))
        thread.start()

        def end() -> None:
            stop.set()
            thread.join(10)
            assert not thread.is_alive()

        yield end
        end()


def test_of_two_running_counters_one_stands_by_and_takes_over(redis: Redis, redis_url: str) -> None:
    with running(redis_url) as stop:
        append(redis, 10)
        assert until(lambda: counts(redis) == {SITE: 10})
        first = redis.get(keys.LEASE)
        with running(redis_url):
            append(redis, 10, 2)
            assert until(lambda: counts(redis) == {SITE: 20})
            assert redis.get(keys.LEASE) == first
            stop()
            append(redis, 10, 3)
            assert until(lambda: counts(redis) == {SITE: 30})
            assert redis.get(keys.LEASE) not in (first, None)
    assert redis.get(keys.LEASE) is None


def test_run_outlives_a_redis_that_forgets_its_scripts_and_its_data(
    redis: Redis, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running(redis_url):
        append(redis, 10)
        assert until(lambda: counts(redis) == {SITE: 10})
        redis.flushdb()
        redis.script_flush()
        append(redis, 4, 2)
        assert until(lambda: counts(redis) == {SITE: 4})
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_reread_finds_what_another_has_counted(redis: Redis) -> None:
    append(redis, 5)
    mine, other = counter(redis), counter(redis)
    assert mine.cursor(SITE) == START
    other.step(SITE)
    assert mine.cursor(SITE) == START
    mine.reread()
    assert mine.cursor(SITE) == last(redis)
    assert [mine.step(SITE), other.step(SITE)] == [NOTHING, NOTHING]
