"""A flood of urls, addresses and visitors, each another: totals exact, memory under its computed bound."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis

from summaries.bound import counter_bound, raw_bound
from summaries.buckets import KINDS
from summaries.chosen import chosen
from tests.bench import usage
from tests.faults.ledger import FULL, is_counted
from tests.hits import FIREFOX, SITE
from tests.service import Service, counted, running, total
from tests.waiting import until
from tracker import keys
from tracker.hit import Hit
from tracker.raw import RawLog, encode
from tracker.settings import Settings

HITS = 1_000_000 if FULL else 60_000
CAP = 10_000 if FULL else 1440
BATCH = 1000
FLOODED = ("url", "ip", "visitor", "title", "referrer", "campaign")


def flood(at: datetime) -> Iterator[list[Hit]]:
    for first in range(0, HITS, BATCH):
        yield [
            Hit(
                at=at,
                site=SITE,
                path=f"/page/{n}",
                params={"utm_source": f"{n}"},
                title=f"Page {n}",
                referrer=f"https://{n}.example.org/",
                remote=f"2001:db8::{n >> 16:x}:{n & 65535:x}",
                visitor=f"visitor-{n}",
                agent=FIREFOX,
                language="en",
                bytes=n % 1000,
                source="pixel",
            )
            for n in range(first, first + BATCH)
        ]


def send(raw: RawLog, at: datetime) -> None:
    for position, hits in enumerate(flood(at), 1):
        raw.append(SITE, hits, "test", position)


def labels(redis: Redis, name: str, kind: str) -> dict[str, int]:
    found = counted(redis, name, SITE, kind)
    assert len(redis.keys(keys.counter(SITE, "hits", name, f"{kind}:*"))) == 1
    return found


@pytest.fixture
def flooded(redis: Redis, redis_url: str) -> Iterator[Service]:
    with running(redis_url, max_labels=str(CAP), canary="0") as service:
        yield service


@pytest.mark.fault("A flood of urls, addresses and visitors")
def test_law_10_a_flood_of_labels_takes_no_more_memory_than_was_computed_and_totals_stay_exact(
    redis: Redis, flooded: Service
) -> None:
    raw, at = RawLog(redis), datetime.now(UTC)
    size = max(
        len(encode(hit)) for hit in [*next(flood(at)), Hit(at=at, site=SITE, path="/", source="pixel")]
    )
    redis.sadd(keys.SITES, SITE)
    before = used(redis)
    with flooded.frames(bucket="month") as frames, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send, raw, at)
        frame = next(frame for frame in frames if frame["hits"] == HITS)
        sending.result()
    until(lambda: is_counted(redis, SITE))
    assert total(redis) == HITS
    for name, kind in ((name, kind) for name in FLOODED for kind in KINDS):
        found = labels(redis, name, kind)
        assert len(found) == CAP + 1
        assert found.pop("(other)") == HITS - CAP
        assert set(found.values()) == {1}
    assert (frame["visitors"], frame["bytes"]) == (CAP, sum(n % 1000 for n in range(HITS)))
    assert set(FLOODED) - {"visitor"} <= set(frame["capped"])
    summaries = len(chosen(Settings()).hooks)
    bound = raw_bound(HITS, size) + counter_bound(summaries * len(KINDS), CAP, 40)
    assert used(redis) - before <= bound
    for process in flooded.processes.values():
        assert usage.peak(process.pid) < 400e6  # bytes; it holds one batch, and the top lists


def used(redis: Redis) -> int:
    info: Any = redis.info("memory")
    return int(info["used_memory"])
