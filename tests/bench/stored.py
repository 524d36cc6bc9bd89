"""Stored: the memory that hits and visitors take in Redis, measured by adding some."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

from redis import Redis

from summaries.buckets import KINDS
from tests.bench.filled import TOGETHER, filled
from tests.bench.report import Row
from tests.bench.traffic import SITE, Visit, hits
from tracker import keys

HITS = 100_000
DAY = 86_400  # seconds in which they came: 24 or 25 hours, two days and a month or two have counters


def bytes_taken(plan: list[Visit]) -> list[Row]:
    """Of a raw hit, of a hit with all its counters, of a visitor in an hour, a day and a month."""
    with filled(SITE) as place:
        empty = _used(place.redis)
        made = hits(plan, HITS, datetime.now(UTC), HITS / DAY)
        while some := list(islice(made, TOGETHER)):
            place.append(some)
        stored = _used(place.redis)
        place.count(HITS)
        counted = _used(place.redis)
        visitor = sum(_of_a_label(place.redis, kind) for kind in KINDS)
    return [
        ("Redis memory, a raw hit", f"{(stored - empty) / HITS:.0f} B", ""),
        (f"… with all counters, {HITS:,} hits in a day", f"{(counted - empty) / HITS:.0f} B", ""),
        ("… a visitor, hits and bytes in an hour, a day and a month", f"{visitor:.0f} B", ""),
    ]


def _used(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])


def _of_a_label(redis: Redis, kind: str) -> float:
    """Bytes that a label of `visitor` takes in a counter of that kind, on average."""
    names: Iterator[bytes] = redis.scan_iter(keys.counter(SITE, "*", "visitor", f"{kind}:*"), count=1000)
    sizes = {name: redis.memory_usage(name, samples=0) or 0 for name in names}
    labels = sum(redis.hlen(name) for name in sizes if b":hits:" in name)
    return sum(sizes.values()) / max(1, labels)
