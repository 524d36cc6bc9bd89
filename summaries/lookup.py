"""Lookup: reads what questions are about, in few round trips."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from redis import Redis
from redis.client import Pipeline

from summaries.figures import SiteRow
from summaries.tally import OTHER
from tracker import keys
from tracker.raw import START, decode

SITES = 100  # of one round trip

Counted = tuple[int, int]  # hits, bytes
Hashes = tuple[dict[bytes, bytes], dict[bytes, bytes]]  # of hits, of bytes


class Lookup:
    """The counters on one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def lengths(self, site: str, summary: str, buckets: Sequence[str]) -> list[int]:
        """How many labels the summary has in each bucket, (other) among them."""
        pipe = self._redis.pipeline(transaction=False)
        for bucket in buckets:
            pipe.hlen(keys.counter(site, "hits", summary, bucket))
        return list(pipe.execute())

    def whole(self, site: str, summary: str, buckets: Sequence[str]) -> tuple[str, list[Hashes]]:
        """The summary's cursor, and of each bucket label -> hits and label -> bytes; all of one moment."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hget(keys.cursor(site), summary)
        for bucket in buckets:
            for measure in keys.MEASURES:
                pipe.hgetall(keys.counter(site, measure, summary, bucket))
        cursor, *found = pipe.execute()
        return _cursor(cursor), list(zip(found[::2], found[1::2], strict=True))

    def label(self, site: str, summary: str, label: str, buckets: Sequence[str]) -> tuple[str, list[Counted]]:
        """The summary's cursor and the label's numbers in each bucket, all of one moment."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hget(keys.cursor(site), summary)
        for bucket in buckets:
            for measure in keys.MEASURES:
                pipe.hget(keys.counter(site, measure, summary, bucket), label)
        cursor, *found = pipe.execute()
        numbers = [int(number or 0) for number in found]
        return _cursor(cursor), list(zip(numbers[::2], numbers[1::2], strict=True))

    def sites(self, names: Sequence[str], day: str) -> Iterator[SiteRow]:
        """What each of these sites has had on that day."""
        for first in range(0, len(names), SITES):
            part = names[first : first + SITES]
            pipe = self._redis.pipeline(transaction=False)
            for name in part:
                _ask(pipe, name, day)
            found = iter(pipe.execute())
            for name in part:
                hits, size, visitors, other, newest = (next(found) for _ in range(5))
                yield SiteRow(name, _sum(hits), _sum(size), visitors - other, _time(newest))


def _ask(pipe: Pipeline, site: str, day: str) -> None:
    for measure in keys.MEASURES:
        pipe.hvals(keys.counter(site, measure, "server", day))
    visitors = keys.counter(site, "hits", "visitor", day)
    pipe.hlen(visitors)
    pipe.hexists(visitors, OTHER)
    pipe.xrevrange(keys.raw(site), count=1)


def _cursor(found: bytes | None) -> str:
    return found.decode() if found else START


def _sum(values: Sequence[bytes]) -> int:
    return sum(map(int, values))


def _time(newest: Any) -> datetime | None:
    """When the hit happened, by its own time; None for no hit."""
    for _, fields in newest:
        return decode(fields[b"hit"]).at
    return None
