"""The read side on a Redis that takes nothing or is an older copy: a batch is counted whole or not at all."""

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree

import pytest
from redis import Redis, ResponseError

from summaries import rounds
from summaries.counting import Counting
from tests.faults.ledger import is_counted, verify
from tests.faults.loop import append, counter
from tests.faults.world import OwnRedis
from tests.hits import SITE
from tests.service import counted, total
from tests.waiting import until
from tracker import keys
from tracker.settings import Settings

FULL = "Redis is out of memory"


@pytest.fixture
def own(tmp_path: Path, free_port: int) -> Iterator[OwnRedis]:
    with OwnRedis(tmp_path / "own", free_port) as server:
        yield server


def everything(redis: Redis) -> dict[bytes, bytes | None]:
    return {key: redis.dump(key) for key in redis.scan_iter(count=1000)}


def out_of_memory(redis: Redis) -> None:
    redis.config_set("maxmemory", 1)


def replica(redis: Redis) -> None:
    redis.replicaof("127.0.0.1", "1")


def no_replicas(redis: Redis) -> None:
    redis.config_set("min-replicas-to-write", 1)


def heal(redis: Redis) -> None:
    redis.config_set("maxmemory", 0)
    redis.config_set("min-replicas-to-write", 0)
    redis.replicaof("NO", "ONE")


@pytest.mark.fault(FULL)
@pytest.mark.parametrize("refuse", [out_of_memory, replica, no_replicas], ids=lambda each: each.__name__)
def test_law_3_a_batch_that_redis_refuses_is_not_counted_in_part(
    own: OwnRedis, refuse: Callable[[Redis], None]
) -> None:
    with own.client() as redis:
        append(redis, 50, 1)
        counting = Counting.of(Settings(), redis)
        counting.step(SITE, 20)
        before = everything(redis)
        refuse(redis)
        try:
            counted_now = counting.step(SITE).hits
        except ResponseError:
            counted_now = 0
            assert everything(redis) == before
        heal(redis)
        counting.reread()
        while counting.step(SITE).hits:
            pass
        assert total(redis) == 50, counted_now
        verify(redis, SITE, Settings())


def test_law_3_a_batch_whose_script_is_killed_is_not_counted_in_part(own: OwnRedis) -> None:
    """Until its first write it can be killed; from then on Redis lets nobody."""
    with own.client() as redis, own.client() as killer:
        append(redis, 2000, 1)
        over = threading.Event()

        def kill() -> None:
            while not over.is_set():
                try:
                    killer.script_kill()
                except ResponseError:
                    continue

        redis.config_set("lua-time-limit", 1)
        thread = threading.Thread(target=kill)
        thread.start()
        counting = Counting.of(Settings(), redis)
        for _ in range(20):
            try:
                if counting.step(SITE, 100).hits == 0:
                    break
            except ResponseError:
                counting.reread()
        over.set()
        thread.join()
        counting.reread()
        while counting.step(SITE).hits:
            pass
        assert total(redis) == 2000
        verify(redis, SITE, Settings())


def test_law_3_a_batch_that_fails_at_its_first_write_is_counted_once_what_is_broken_is_aside(
    own: OwnRedis,
) -> None:
    """Only a write finds out that a HyperLogLog is broken inside."""
    with own.client() as redis:
        minutes = [datetime.now(UTC) + timedelta(minutes=n) for n in range(2)]  # should one be over
        for at in minutes:
            redis.set(keys.active(SITE, at), b"HYLL\x01" + b"\x00" * 10 + b"\x80" + b"\xff" * 9)
        append(redis, 50, 1)
        assert Counting.of(Settings(), redis).step(SITE).hits == 50
        assert total(redis) == 50
        assert redis.keys("*foreign:active*")
        verify(redis, SITE, Settings())


@pytest.mark.fault(FULL)
def test_law_11_a_counter_without_memory_waits_says_so_forgets_what_is_due_and_goes_on(
    own: OwnRedis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "TIDY", 0.1)
    with own.client() as redis:
        append(redis, 12_000, 1)
        with counter(own.url):
            until(lambda: total(redis) == 12_000 and is_counted(redis, SITE))
        append(redis, 100, 2)
        redis.config_set("maxmemory", redis.info("memory")["used_memory"] // 2)
        with pytest.raises(ResponseError, match="maxmemory"):
            append(redis, 1, 3)
        with counter(own.url, keep_raw_max="10000"):
            until(lambda: any("counting waits for Redis" in told for told in caplog.messages))
            until(lambda: redis.xlen(keys.raw(SITE)) <= 10_200)
            assert redis.xlen(keys.raw(SITE)) >= 10_000
            assert total(redis) in (12_000, 12_100)  # what was forgotten may have made room enough
            redis.config_set("maxmemory", 0)
            until(lambda: total(redis) == 12_100)
        assert sum(counted(redis, "url").values()) == 12_100
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.fault("Redis comes back as an older copy of itself")
def test_law_3_holds_on_an_older_copy_that_the_counter_is_led_to_without_a_word(
    own: OwnRedis, tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "LOOK", 0.2)
    with own.client() as redis:
        append(redis, 500, 1)
        Counting.of(Settings(), redis).step(SITE, 300)  # counted in part
        own.stop()
        copytree(tmp_path / "own", tmp_path / "copy")
        own.start()
        append(redis, 500, 2)
        with counter(own.url):
            until(lambda: total(redis) == 1000)
            own.kill()
            own.stop()
            older = OwnRedis(tmp_path / "copy", own.port)
            older.start()
            until(lambda: is_counted(redis, SITE) and total(redis) == 500)
            append(redis, 100, 3)
            until(lambda: total(redis) == 600)
            verify(redis, SITE, Settings())
        older.stop()


def test_law_3_counters_of_other_summaries_side_by_side_spoil_nothing(own: OwnRedis) -> None:
    with own.client() as redis:
        few = Counting.of(Settings.read({"HITWALL_SUMMARIES": "url,server"}), redis)
        other = Counting.of(Settings.read({"HITWALL_SUMMARIES": "server,visitor,browser"}), redis)
        whole = Counting.of(Settings(), redis)
        for position in range(1, 10):
            append(redis, 70, position)
            for each in (few, other, few, whole)[: 1 + position % 4]:
                each.step(SITE, 50)
                each.forget(SITE, datetime.now(UTC) - timedelta(days=1))
        for each in (few, other, whole):
            while each.step(SITE).hits:
                pass
        for name in ("url", "server", "visitor", "browser", "language"):
            assert sum(counted(redis, name).values()) == (630 if name != "language" else 0), name
        verify(redis, SITE, Settings())
