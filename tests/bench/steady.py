"""Steady traffic: how late hits are counted, and what that costs, seen from outside the counter.

Run as a module of its own, with the address of a Redis: the feeder, which appends hits at planned times
until it is ended.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, cycle, islice
from typing import Any

from redis import Redis

from hitwall import demo
from summaries.announcement import Announcement, announcement
from tests.bench import traffic, usage
from tests.bench.report import Row, ms, percentile
from tests.bench.stage import redis_server
from tests.bench.traffic import SITE, Visit
from tests.service import ROOT, Service, total
from tests.waiting import until
from tracker import keys
from tracker.connection import connect
from tracker.raw import RawLog, order

RATE = 10_000  # hits a second
TOGETHER = 50  # hits of one append, as a door under load brings them
NEW = 2.0  # seconds at the beginning, when all is new; they do not count
SECONDS = 7.0  # that count
SINGLE = 20  # hits that come alone
APART = 0.31  # seconds between them
LIMIT = 30  # seconds for anything else


@dataclass(frozen=True)
class Fed:
    """What so many hits cost in CPU seconds, by process; and how old each batch's oldest was, in seconds."""

    hits: int
    cpu: dict[str, float]
    ages: list[float]  # when the batch was announced

    def each(self, name: str) -> float:
        """CPU seconds for 1,000 hits."""
        return self.cpu[name] / self.hits * 1000


def rows(plan: list[Visit]) -> list[Row]:
    """Of the table of the part that counts."""
    with redis_server() as (server, redis):
        stored = _feed(redis, server.url, {"Redis": server.pid}, is_counted=False)
    with redis_server() as (server, redis), _counter(server.url) as counter:
        alone = _alone(redis, plan)
        found = _feed(redis, server.url, {"Redis": server.pid, "counter": counter}, is_counted=True)
        until(lambda: total(redis, SITE) == redis.xlen(keys.raw(SITE)), LIMIT)
    rate = found.hits / SECONDS
    return [
        (
            f"At {rate:,.0f} hits a second: age of a batch's oldest hit on a wall, p99",
            *_late(found.ages, 0.99),
        ),
        ("the same, p50 and at most", " and ".join(ms(percentile(found.ages, n)) for n in (0.5, 1)), ""),
        ("hits of a batch", f"{found.hits / len(found.ages):,.0f}", ""),
        ("CPU for 1,000 hits, counter", f"{found.each('counter'):.4f} s", ""),
        ("CPU for 1,000 hits, Redis", f"{found.each('Redis') - stored.each('Redis'):.4f} s", ""),
        ("and to store them", f"{stored.each('Redis'):.4f} s", ""),
        ("Age of a hit that comes alone, p50", ms(percentile(alone, 0.5)), "< 50 ms"),
        ("the same, at most", ms(alone[-1]), ""),
    ]


def _late(ages: list[float], share: float) -> tuple[str, str]:
    return ms(percentile(ages, share)), "< 100 ms"


@contextmanager
def _counter(url: str) -> Iterator[int]:
    """The pid of a counter at work."""
    service = Service(url)
    try:
        service.start("count")
        with connect(url) as redis:
            until(lambda: redis.exists(keys.LEASE), LIMIT)
        yield service.processes["count"].pid
    finally:
        service.stop()


def _feed(redis: Redis, url: str, pids: dict[str, int], is_counted: bool) -> Fed:
    feeder = subprocess.Popen([sys.executable, "-m", "tests.bench.steady", url], cwd=ROOT)
    try:
        before = redis.xlen(keys.raw(SITE))
        until(lambda: redis.xlen(keys.raw(SITE)) > before, LIMIT)
        time.sleep(NEW)
        begun, cpu = redis.xlen(keys.raw(SITE)), {name: usage.cpu(pid) for name, pid in pids.items()}
        ages = _ages(redis, SECONDS if is_counted else 0.0)
        time.sleep(0.0 if is_counted else SECONDS)
        hits = redis.xlen(keys.raw(SITE)) - begun
        return Fed(hits, {name: usage.cpu(pid) - cpu[name] for name, pid in pids.items()}, ages)
    finally:
        feeder.terminate()
        feeder.wait(LIMIT)


def _ages(redis: Redis, seconds: float) -> list[float]:
    """Of the oldest hit of each batch announced, in order: it came after the last of the one before."""
    end = time.monotonic() + seconds
    ages = []
    with redis.pubsub() as heard:  # type: ignore[no-untyped-call]
        heard.subscribe(keys.live(SITE))
        while time.monotonic() < end:
            if (news := _heard(heard)) and news.start != "0-0":
                ages.append(time.time() - order(news.start)[0] / 1000)
    return sorted(ages)


def _alone(redis: Redis, plan: list[Visit]) -> list[float]:
    """From append to announcement, of hits that come one by one, in order."""
    raw, ages = RawLog(redis), []
    with redis.pubsub() as heard:  # type: ignore[no-untyped-call]
        heard.subscribe(keys.live(SITE))
        for n, visit in enumerate(plan[:SINGLE], 1):
            time.sleep(APART)
            begun = time.perf_counter()
            raw.append(SITE, [visit.hit(datetime.now(UTC))], "alone", n)
            until(lambda: _heard(heard), LIMIT)
            ages.append(time.perf_counter() - begun)
    return sorted(ages)


def _heard(pubsub: Any) -> Announcement | None:
    """The next announcement, waited for a moment."""
    message = pubsub.get_message(timeout=0.05)
    return announcement(message["data"]) if message and message["type"] == "message" else None


def feed(url: str) -> None:
    """Append RATE hits a second. Where Redis made it wait, the hits planned meanwhile follow at once."""
    raw = RawLog(connect(url))
    coming = cycle(traffic.visits(list(demo.lines([traffic.LOG]))))
    begun = time.monotonic()
    for n in count(1):
        time.sleep(max(0.0, begun + n * TOGETHER / RATE - time.monotonic()))
        now = datetime.now(UTC)
        raw.append(SITE, [visit.hit(now) for visit in islice(coming, TOGETHER)], "steady", n)


if __name__ == "__main__":
    feed(sys.argv[1])
