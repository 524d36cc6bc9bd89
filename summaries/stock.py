"""Stock: how many counters there are, and what memory they take, measured on a few of each sort."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from redis import Redis

from summaries.buckets import Calendar
from tracker import keys
from tracker.cluster import Cluster

SAMPLES = 20_000  # counters measured, shared out among all sorts
EACH = 5  # of one sort, where there are not so many sorts; one at least
RECENT = {"hour": timedelta(days=7), "day": timedelta(days=7), "month": timedelta(days=32)}

Sort = tuple[str, str, bool]  # summary, measure, whether its bucket ended no longer ago than RECENT


@dataclass
class Stock:
    """The counters of one site and kind of bucket; memory in bytes."""

    counts: dict[Sort, int] = field(default_factory=dict)
    samples: dict[Sort, list[str]] = field(default_factory=dict)  # keys
    buckets: set[str] = field(default_factory=set)  # the recent ones
    memory: float = 0.0
    recent: float = 0.0  # memory of the recent ones,
    visits: float = 0.0  # and of those of them that count visitors,
    visitors: float = 0.0  # how many these hold,
    visitor: float = 0.0  # and what one takes in one of them, hits and bytes

    @property
    def counters(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class Memory:
    """Of one server, in bytes."""

    used: int
    limit: int  # 0 where it tells none
    maxmemory: bool  # whether the limit is one that was set, else the memory of its machine


def take_stock(redis: Redis, calendar: Calendar, now: datetime) -> dict[tuple[str, str], Stock]:
    """(site, kind of bucket) -> its counters."""
    stocks: dict[tuple[str, str], Stock] = {}
    for name in redis.scan_iter(keys.counter("*", "*", "*", "*"), count=1000):
        key = keys.parse(name)
        if key is not None and key.kind == "counter":
            kind = key.bucket.partition(":")[0]
            stock = stocks.setdefault((key.site, kind), Stock())
            recent = calendar.span(key.bucket)[1] > now - RECENT[kind]
            _put(stock, name.decode(), key, recent)
    sorts = sum(len(stock.counts) for stock in stocks.values())
    each = max(1, min(EACH, SAMPLES // max(1, sorts)))
    for stock in stocks.values():
        _weigh(stock, _measure(redis, stock, each))
        _count_visitors(redis, stock, each)
    return stocks


def memory_of(redis: Redis) -> dict[str, Memory]:
    """Server -> its memory, by the name that server_of gives it."""
    if not isinstance(redis, Cluster):
        return {"": _memory(redis)}
    return {name: _memory(master) for name, master in redis.masters().items()}


def _memory(server: Redis) -> Memory:
    info: Any = server.info("memory")
    most = int(info.get("maxmemory", 0))
    return Memory(int(info["used_memory"]), most or int(info.get("total_system_memory", 0)), most > 0)


def _put(stock: Stock, name: str, key: keys.Key, recent: bool) -> None:
    sort = (key.summary, key.measure, recent)
    stock.counts[sort] = stock.counts.get(sort, 0) + 1
    samples = stock.samples.setdefault(sort, [])
    if len(samples) < EACH:  # a scan comes in no order: the first are any
        samples.append(name)
    if recent:
        stock.buckets.add(key.bucket)


def _measure(redis: Redis, stock: Stock, each: int) -> dict[Sort, list[int]]:
    """Bytes of the samples; one that has expired meanwhile takes none."""
    pipe = redis.pipeline(transaction=False)
    for samples in stock.samples.values():
        for name in samples[:each]:
            pipe.memory_usage(name)
    found: list[Any] = [size or 0 for size in pipe.execute()]
    sizes = iter(found)
    return {sort: [next(sizes) for _ in samples[:each]] for sort, samples in stock.samples.items()}


def _weigh(stock: Stock, measured: Mapping[Sort, list[int]]) -> None:
    for sort, sizes in measured.items():
        memory = stock.counts[sort] * sum(sizes) / len(sizes)
        stock.memory += memory
        stock.recent += memory if sort[2] else 0.0
        stock.visits += memory if sort[2] and sort[0] == "visitor" else 0.0


def _count_visitors(redis: Redis, stock: Stock, each: int) -> None:
    """From the lengths of the recent samples; a visitor without bytes takes less."""
    sort = ("visitor", "hits", True)
    if samples := stock.samples.get(sort, [])[:each]:
        pipe = redis.pipeline(transaction=False)
        for name in samples:
            pipe.hlen(name)
        stock.visitors = stock.counts[sort] * sum(pipe.execute()) / len(samples)
        stock.visitor = stock.visits / max(1.0, stock.visitors)
