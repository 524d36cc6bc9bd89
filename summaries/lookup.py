"""Lookup: reads what questions are about, in few round trips."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from redis import Redis

from summaries.figures import SiteRow
from summaries.tally import OTHER
from tracker import keys
from tracker.entries import START, order, read_hit
from tracker.foreign import undisturbed

SITES = 100  # of one round trip

Counted = tuple[int, int]  # hits, bytes
Hashes = tuple[dict[bytes, bytes], dict[bytes, bytes]]  # of hits, of bytes


class Lookup:
    """The counters on one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def lengths(self, site: str, summary: str, buckets: Sequence[str]) -> list[int]:
        """How many labels the summary has in each bucket, (other) among them."""
        names = [keys.counter(site, "hits", summary, bucket) for bucket in buckets]

        def ask() -> list[int]:
            pipe = self._redis.pipeline(transaction=False)
            for name in names:
                pipe.hlen(name)
            return list(pipe.execute())

        return undisturbed(self._redis, names, ask)

    def whole(self, site: str, summary: str, buckets: Sequence[str]) -> tuple[str, list[Hashes]]:
        """The summary's cursor, and of each bucket label -> hits and label -> bytes; all of one moment."""
        names = _counters(site, summary, buckets)

        def ask() -> tuple[str, list[Hashes]]:
            pipe = self._redis.pipeline(transaction=True)
            pipe.hget(keys.cursor(site), summary)
            for name in names:
                pipe.hgetall(name)
            cursor, *found = pipe.execute()
            _check(found)
            return _cursor(cursor), list(zip(found[::2], found[1::2], strict=True))

        return undisturbed(self._redis, [keys.cursor(site), *names], ask)

    def label(self, site: str, summary: str, label: str, buckets: Sequence[str]) -> tuple[str, list[Counted]]:
        """The summary's cursor and the label's numbers in each bucket, all of one moment."""
        names = _counters(site, summary, buckets)

        def ask() -> tuple[str, list[Counted]]:
            pipe = self._redis.pipeline(transaction=True)
            pipe.hget(keys.cursor(site), summary)
            for name in names:
                pipe.hget(name, label)
            cursor, *found = pipe.execute()
            numbers = [int(number or 0) for number in found]
            return _cursor(cursor), list(zip(numbers[::2], numbers[1::2], strict=True))

        return undisturbed(self._redis, [keys.cursor(site), *names], ask)

    def sites(self, names: Sequence[str], day: str) -> Iterator[SiteRow]:
        """What each of these sites has had on that day."""
        for first in range(0, len(names), SITES):
            part = names[first : first + SITES]
            asked = [name for site in part for name in _of_day(site, day)]
            yield from undisturbed(self._redis, asked, partial(self._rows, part, day))

    def _rows(self, sites: Sequence[str], day: str) -> list[SiteRow]:
        pipe = self._redis.pipeline(transaction=False)
        for site in sites:
            hits, size, visitors, raw = _of_day(site, day)
            pipe.hvals(hits)
            pipe.hvals(size)
            pipe.hlen(visitors)
            pipe.hexists(visitors, OTHER)
            pipe.xrevrange(raw, count=1)
        found = iter(pipe.execute())
        rows = [(site, *(next(found) for _ in range(5))) for site in sites]
        return [
            SiteRow(site, _sum(hits), _sum(size), visitors - other, _time(newest))
            for site, hits, size, visitors, other, newest in rows
        ]


def _counters(site: str, summary: str, buckets: Sequence[str]) -> list[str]:
    """Keys of hits and bytes by turns."""
    return [keys.counter(site, measure, summary, bucket) for bucket in buckets for measure in keys.MEASURES]


def _of_day(site: str, day: str) -> list[str]:
    totals = [keys.counter(site, measure, "server", day) for measure in keys.MEASURES]
    return [*totals, keys.counter(site, "hits", "visitor", day), keys.raw(site)]


def _check(hashes: Iterable[Mapping[bytes, bytes]]) -> None:
    """Raises ValueError where a value is no number."""
    if not all(all(map(bytes.isdigit, found.values())) for found in hashes):
        raise ValueError("a counter holds what is no number")


def _cursor(found: bytes | None) -> str:
    """Raises ValueError where it is no stream id."""
    cursor = found.decode() if found else START
    order(cursor)
    return cursor


def _sum(values: Sequence[bytes]) -> int:
    return sum(map(int, values))


def _time(newest: Any) -> datetime | None:
    """When the hit happened, by its own time; None for no hit, or one that cannot be read."""
    hits = [read_hit(fields) for _, fields in newest]
    return hits[0].at if hits and hits[0] else None
