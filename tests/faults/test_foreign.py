"""Strangers at our keys: other types, other values, poison, keys deleted by hand; law 3 holds afterwards."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import Any, cast

import pytest
from redis import Redis

from summaries import rounds
from summaries.buckets import Calendar
from summaries.chosen import Chosen
from summaries.counters import Counters
from summaries.counting import Counting
from summaries.mending import Mending
from tests.faults.ledger import Table, is_counted, settle, verify
from tests.faults.load import load
from tests.faults.loop import append, counter
from tests.hits import FIREFOX, SITE
from tests.service import Service, counted, total
from tests.waiting import until
from tracker import keys
from tracker.hit import Hit
from tracker.raw import RawLog, encode
from tracker.settings import Settings

OTHER = "other.example"
CALENDAR = Calendar.of(Settings())


def now(kind: str = "day") -> str:
    return CALENDAR.bucket(kind, datetime.now(UTC))


KEYS: dict[str, Callable[[], str]] = {
    "a counter": lambda: keys.counter(SITE, "hits", "url", now()),
    "the total": lambda: keys.counter(SITE, "hits", "server", now("month")),
    "a counter of bytes": lambda: keys.counter(SITE, "bytes", "url", now()),
    "the cursor": lambda: keys.cursor(SITE),
    "the minute's visitors": lambda: keys.active(SITE, datetime.now(UTC)),
    "the account of failures": lambda: keys.failed(SITE, datetime.now(UTC)),
    "where the log begins": lambda: keys.trimmed(SITE),
    "the list of holes": lambda: keys.holes(SITE),
    "the sites": lambda: keys.SITES,
    "the lease": lambda: keys.LEASE,
    "the counter's report": lambda: keys.COUNTING,
}
UNHURRIED = {"the account of failures", "the list of holes"}  # looked at when there is need


@pytest.fixture
def at_work(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A counter that looks often."""
    monkeypatch.setattr(rounds, "LOOK", 0.1)
    with counter(redis_url):
        yield


def aside(redis: Redis) -> list[bytes]:
    return [name for name in redis.scan_iter("*foreign*") if redis.type(name) == b"list"]


@pytest.mark.fault("A key of ours holds another's value")
@pytest.mark.parametrize("what", KEYS)
def test_another_type_under_any_key_is_set_aside_and_every_counter_is_right_again(
    redis: Redis, at_work: None, what: str
) -> None:
    for site in (SITE, OTHER):
        append(redis, 30, 1, site)
    until(lambda: is_counted(redis, SITE) and is_counted(redis, OTHER))
    key = KEYS[what]()
    pipe = redis.pipeline(transaction=True)
    pipe.delete(key)
    pipe.rpush(key, "theirs")
    pipe.execute()
    for site in (SITE, OTHER):
        append(redis, 20, 2, site)
    until(lambda: total(redis, OTHER) == 50)
    until(lambda: redis.type(key) != b"list" or what in UNHURRIED)
    until(lambda: total(redis) == 50 and is_counted(redis, SITE))
    assert sum(counted(redis, "url").values()) == 50
    for site in (SITE, OTHER):
        verify(redis, site, Settings())
    counters, moment = Counters(redis, CALENDAR, 10_000), datetime.now(UTC)
    assert (counters.failures(SITE, moment), counters.active(SITE, moment) > 0) == ({}, True)
    until(lambda: len(aside(redis)) == 1)
    assert [redis.lrange(name, 0, -1) for name in aside(redis)] == [[b"theirs"]]
    assert redis.smembers(keys.SITES) == {SITE.encode(), OTHER.encode()}


@pytest.mark.fault("A key of ours holds another's value")
def test_strangers_keys_and_names_beside_ours_stop_nobody(redis: Redis, at_work: None) -> None:
    for bucket in ("day:9999-99-99", "day:9999-12-31", "month:0000-00"):
        redis.hset(keys.counter(SITE, "hits", "url", bucket), "/", 1)
    redis.hset(b"hitwall:{\xff}:hits:url:day:2026-11-21", "/", 1)
    redis.sadd(keys.SITES, b"\xff", "Any Thing", "a}:raw")
    append(redis, 30, 1)
    until(lambda: is_counted(redis, SITE))
    redis.set(keys.counter(SITE, "hits", "url", now()), "theirs")
    redis.delete(keys.cursor(SITE))  # then all counters are looked at
    append(redis, 20, 2)
    until(lambda: total(redis) == 50 and is_counted(redis, SITE))
    verify(redis, SITE, Settings())


@pytest.mark.fault("A key of ours holds another's value")
@pytest.mark.parametrize("text", ["abc", "-7", "1.5", "1e400"])
def test_fields_that_are_no_numbers_cost_no_number(redis: Redis, at_work: None, text: str) -> None:
    append(redis, 30, 1)
    until(lambda: is_counted(redis, SITE))
    key = keys.counter(SITE, "hits", "url", now())
    redis.hset(key, mapping={"/1-0": text, "/theirs": text})
    append(redis, 30, 1)  # known
    RawLog(redis).append(SITE, [page("/1-0"), page("/theirs")], "more", 1)
    until(lambda: total(redis) == 32 and is_counted(redis, SITE))
    if text != "-7":  # which counts as well as any number, until somebody recounts
        verify(redis, SITE, Settings())


@pytest.mark.fault("A key of ours holds another's value")
def test_strangers_at_the_keys_of_a_service_at_work_cost_no_hit(
    service: Service, redis: Redis, table: Table
) -> None:
    with load(service.base, SITE, pace=0.01) as visitors:
        until(lambda: len(visitors.acknowledged) > 50)
        for what, key in KEYS.items():
            pipe = redis.pipeline(transaction=True)
            pipe.delete(key())
            pipe.rpush(key(), what)
            pipe.execute()
            sent = visitors.sent
            until(lambda sent=sent: visitors.sent > sent + 20)  # type: ignore[misc]
    until(lambda: redis.type(keys.SITES) == b"set" and is_counted(redis, SITE), 40)
    table.add(settle(redis, visitors, "A key of ours holds another's value", settings=service.settings))
    assert set(visitors.statuses) == {200}
    assert service.get("/api/sites").status == 200


def page(path: str) -> Hit:
    return Hit(at=datetime.now(UTC), site=SITE, path=path, source="pixel", agent=FIREFOX)


POISON: dict[str, dict[str, bytes]] = {
    "no JSON": {"hit": b"broken"},
    "empty": {"hit": b""},
    "no UTF-8": {"hit": b'{"path":"\xff"}'},
    "no field hit": {"other": b"field"},
    "another thing": {"hit": b"[1,2,3]"},
    "half a hit": {"hit": encode(page("/half"))[:-5]},
    "deep": {
        "hit": encode(page("/deep"))[:-1] + b',"track_var":{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}}"
    },
    "huge": {"hit": encode(page("/" + "x" * 3_000_000))},
    "more bytes than there are": {"hit": encode(page("/b"))[:-1] + b',"bytes":' + b"9" * 30 + b"}"},
    "fewer bytes than none": {"hit": encode(page("/b"))[:-1] + b',"bytes":-5}'},
    "a time without a zone": {"hit": b'{"at":"2026-11-21T06:00:00","site":"a","path":"/","source":"x"}'},
    "the year 9999": {"hit": b'{"at":"9999-12-31T23:59:59Z","site":"a","path":"/","source":"x"}'},
    "the year 1": {"hit": b'{"at":"0001-01-01T00:00:00Z","site":"a","path":"/","source":"x"}'},
    "another type": {"hit": b'{"at":5,"site":"a","path":7,"source":"x"}'},
}


@pytest.mark.fault("Poison in the raw log")
def test_poison_in_the_raw_log_is_passed_and_told_and_everything_else_is_served(
    service: Service, redis: Redis
) -> None:
    service.hit("https://example.com/before")
    for fields in POISON.values():
        redis.xadd(keys.raw(SITE), fields)  # type: ignore[arg-type]
    future = encode(page("/future"))[:-1] + b',"mood":"good","nested":{"a":[1,2]},"bytes":7}'
    redis.xadd(keys.raw(SITE), {"hit": future, "other": "field"})
    redis.xadd(keys.raw(SITE), dict(POISON["no JSON"]))  # type: ignore[arg-type]
    until(lambda: redis.hget(keys.failed(SITE, datetime.now(UTC)), "(unreadable)") == b"15")
    assert counted(redis, "url") == {"/before": 1, "/future": 1}
    frame = service.frame(2, bucket="month")
    assert [row["path"] for row in frame["recent"]] == ["/future", "/before"]
    with service.frames(bucket="month") as frames:
        told = next(frame for frame in frames if frame["notes"])["notes"]
    assert [note["what"] for note in told] == [
        "15 entries of today's raw log cannot be read, they count nowhere"
    ]
    for path in ("/api/sites", f"/api/{SITE}/summaries/url?bucket=month", f"/api/{SITE}/hits?format=ndjson"):
        assert service.get(path).status == 200, path
    service.hit("https://example.com/after")
    until(lambda: total(redis) == 3)
    verify(redis, SITE, Settings())


@pytest.mark.fault("A key of ours is deleted")
def test_a_cursor_that_is_lost_counts_nothing_twice(redis: Redis, at_work: None) -> None:
    append(redis, 30, 1)
    until(lambda: is_counted(redis, SITE))
    redis.delete(keys.cursor(SITE))
    append(redis, 5, 2)
    until(lambda: total(redis) == 35 and is_counted(redis, SITE))
    redis.hdel(keys.cursor(SITE), "url", "visitor")
    append(redis, 5, 3)
    until(
        lambda: total(redis) == 40 and is_counted(redis, SITE) and sum(counted(redis, "url").values()) == 40
    )
    verify(redis, SITE, Settings())


@pytest.mark.fault("A key of ours is deleted")
def test_a_raw_log_that_is_lost_takes_no_number_with_it(redis: Redis, at_work: None) -> None:
    append(redis, 30, 1)
    until(lambda: is_counted(redis, SITE))
    redis.delete(keys.raw(SITE))
    append(redis, 5, 2)
    until(lambda: total(redis) == 35 and redis.exists(keys.trimmed(SITE)))
    assert counted(redis, "url") == {f"/{p}-{n}": 1 for p, hits in ((1, 30), (2, 5)) for n in range(hits)}


@pytest.mark.fault("A key of ours is deleted")
def test_sites_that_nobody_lists_any_more_are_found_again(redis: Redis, redis_url: str) -> None:
    append(redis, 30, 1)
    redis.delete(keys.SITES)
    with counter(redis_url):
        until(lambda: total(redis) == 30)


def test_what_cannot_be_put_right_is_told_with_what_to_do(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    append(redis, 30, 1)
    counting = Counting.of(Settings(), redis)
    counting.step(SITE)
    redis.xtrim(keys.raw(SITE), maxlen=1)
    redis.set(keys.trimmed(SITE), cast(Any, redis.xrange(keys.raw(SITE)))[0][0])
    redis.set(keys.counter(SITE, "hits", "url", now("month")), "theirs")
    append(redis, 1, 2)
    counting.step(SITE)

    def failing(hit: Hit) -> str:
        raise RuntimeError("no")

    mending = Mending.of(Settings(), redis, Event())
    mending.mend(SITE)
    assert "1 counters lack hits for good" in caplog.text
    redis.delete(keys.trimmed(SITE), keys.raw(SITE), keys.cursor(SITE))
    redis.delete(*redis.keys("*:hits:*"))
    append(redis, 30, 3)
    counting.reread()
    counting.step(SITE)
    redis.set(keys.counter(SITE, "hits", "url", now("month")), "theirs")
    append(redis, 1, 4)
    counting.step(SITE)
    hooks = {**mending.picked.hooks, "url": failing}
    replace(mending, picked=Chosen(hooks, mending.picked.apart)).mend(SITE)
    assert f"hitwall recount --site {SITE} --summary url" in caplog.text
    assert not redis.exists(keys.holes(SITE))
