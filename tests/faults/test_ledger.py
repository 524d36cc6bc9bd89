"""The ledger sees what it is there to see: a hit that is lost, one that is there twice, a wrong counter."""

import dataclasses
import threading
import time
from datetime import UTC, datetime

import pytest
from redis import Redis, RedisError

from summaries.counting import Counting
from tests.faults.ledger import NUMBERS, Row, as_text, settle
from tests.faults.load import Load, load
from tests.faults.proxy import Proxy
from tests.hits import FIREFOX
from tests.service import Service
from tests.waiting import until
from tracker import keys
from tracker.hit import Hit
from tracker.raw import RawLog
from tracker.settings import Settings

SITE = "example.com"
SOME = 20


@pytest.fixture
def sent(redis: Redis) -> Load:
    """A load whose hits are all acknowledged and stored, as the service would have it; nothing is counted."""
    done = Load("http://127.0.0.1:9", SITE, SOME, 0.0, False, 1.0)
    for n in range(SOME):
        done.note(f"/{n}", 200)
        store(redis, f"/{n}", n)
    return done


def store(redis: Redis, path: str, position: int) -> None:
    hit = Hit(at=datetime.now(UTC), site=SITE, path=path, source="pixel", agent=FIREFOX)
    RawLog(redis).append(SITE, [hit], "test", position)


def count(redis: Redis) -> None:
    while Counting.of(Settings(), redis).step(SITE).hits:
        pass


def test_what_is_stored_and_counted_once_is_a_row_without_loss(sent: Load, redis: Redis) -> None:
    count(redis)
    row = settle(redis, sent, "none")
    assert row == Row("none", 1, SOME, SOME, SOME, SOME, lost=0, doubled=0)


def test_a_lost_hit_fails(sent: Load, redis: Redis) -> None:
    redis.xtrim(keys.raw(SITE), SOME - 1, approximate=False)
    count(redis)
    with pytest.raises(AssertionError, match=r"lost=1, doubled=0"):
        settle(redis, sent, "one is lost")


def test_a_doubled_hit_fails(sent: Load, redis: Redis) -> None:
    store(redis, "/7", SOME)
    count(redis)
    with pytest.raises(AssertionError, match=r"lost=0, doubled=1"):
        settle(redis, sent, "one is there twice")


def test_a_hit_doubled_that_nobody_was_told_of_fails(sent: Load, redis: Redis) -> None:
    sent.note("/unsure", "TimeoutError")
    store(redis, "/unsure", SOME)
    store(redis, "/unsure", SOME + 1)
    count(redis)
    with pytest.raises(AssertionError, match=r"lost=0, doubled=1"):
        settle(redis, sent, "one is there twice")


@pytest.mark.parametrize("summary", ["url", "server", "browser"])
def test_a_counter_that_is_wrong_fails(summary: str, sent: Load, redis: Redis) -> None:
    count(redis)
    key = next(redis.scan_iter(keys.counter(SITE, "hits", summary, "month:*")))
    label = redis.hkeys(key)[0]
    redis.hincrby(key, label, 1)
    with pytest.raises(AssertionError):
        settle(redis, sent, "one is counted twice")


def test_rows_of_one_fault_are_one_line_of_the_table() -> None:
    row = Row("none", 1, 20, 20, 20, 20, 0, 0)
    lines = as_text([row, dataclasses.replace(row, fault="some", sent=40_000)])
    assert [line.split()[0] for line in lines] == ["fault", "none", "some"]
    assert lines[0].split()[1:] == NUMBERS
    assert lines[2].split()[2] == "40,000"


@pytest.mark.parametrize("post", [False, True])
def test_a_load_has_paths_of_its_own_and_ends_by_itself(post: bool, service: Service, redis: Redis) -> None:
    with load(service.base, most=100, post=post) as first, load(service.base, most=100) as second:
        until(lambda: (first.sent, second.sent) == (100, 100))
    assert len(first.acknowledged | second.acknowledged) == 200
    assert first.statuses == {204 if post else 200: 100}
    row = settle(redis, [first, second], "none", settings=service.settings)
    assert (row.stored, row.counted) == (200, 200)


def test_the_proxy_delays_cuts_refuses_swallows_and_drops(redis_url: str, redis: Redis) -> None:
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    with Proxy(port) as proxy, Redis.from_url(proxy.url, socket_timeout=10) as client:
        assert client.ping()
        proxy.cut()
        assert client.ping()  # on a new connection
        proxy.drop_answer_of(b"INCR")
        with pytest.raises(RedisError):
            client.incr("dropped")
        dropped = int(redis.get("dropped") or 0)
        assert dropped == proxy.dropped >= 1
        proxy.heal()
        proxy.swallow()
        answers: list[object] = []
        asking = threading.Thread(target=lambda: answers.append(client.incr("dropped")))
        asking.start()
        asking.join(0.2)
        assert not answers
        proxy.heal()
        asking.join()
        assert answers == [dropped + 1]
        proxy.delay(0.3)
        began = time.monotonic()
        assert client.ping()
        assert time.monotonic() - began >= 0.3
        proxy.heal()
        proxy.refuse()
        with pytest.raises(RedisError):
            client.ping()
        proxy.heal()
        assert client.ping()
