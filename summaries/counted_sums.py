"""What a summary has counted, bucket by bucket, as get_sum asks: from the counters."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice, takewhile

from redis import Redis

from summaries.fold import Tallies
from summaries.lookup import Lookup
from summaries.stretch import Stretch
from tracker import keys

LARGER = {"hour": "day", "day": "month"}
AT_ONCE = 200  # buckets of one round trip; less than one is read in vain for every bucket that is shown

Tables = Iterator[tuple[str, Tallies]]  # bucket, label -> [hits, bytes]; the newest first


class CountedSums:
    """The counters of these sites on one Redis, added up; all of one stretch. Raises RedisError."""

    def __init__(self, redis: Redis, sites: Sequence[str], summary: str, stretch: Stretch) -> None:
        self._lookup = Lookup(redis)
        self._redis = redis
        self._sites = sites
        self._summary = summary
        self._stretch = stretch

    def known(self) -> bool:
        """Whether somebody counts the summary."""
        cursors = [self._redis.hgetall(keys.cursor(site)) for site in self._sites]
        return any(self._summary.encode() in found for found in cursors)

    def tables(self, kind: str, target: str | None, now: datetime) -> Tables:
        """Of buckets that have not expired by `now`; with a target of that label alone."""
        alive = takewhile(lambda bucket: self._lives(bucket, now), self._there(kind, now))
        if target is None:
            yield from ((bucket, self._whole(bucket)) for bucket in alive)
        else:
            for buckets in _chunks(alive):
                yield from zip(buckets, self._label(target, buckets), strict=True)

    def _there(self, kind: str, now: datetime) -> Iterator[str]:
        """Buckets that may hold something: a day is looked for only in a month that is not empty."""
        for buckets in _chunks(self._possible(kind, now)):
            lengths = [self._lookup.lengths(site, self._summary, buckets) for site in self._sites]
            for bucket, *held in zip(buckets, *lengths, strict=True):
                if any(held) or not self._lives(bucket, now):
                    yield bucket  # one that has expired may hold smaller ones that have not

    def _possible(self, kind: str, now: datetime) -> Iterator[str]:
        if kind not in LARGER:
            yield from self._stretch.buckets(kind)
            return
        for larger in self._there(LARGER[kind], now):
            yield from self._stretch.buckets(kind, larger)

    def _lives(self, bucket: str, now: datetime) -> bool:
        expires = self._stretch.calendar.expires(bucket)
        return expires is None or expires > now.timestamp()

    def _whole(self, bucket: str) -> Tallies:
        table: Tallies = {}
        for site in self._sites:
            ((hits, sizes),) = self._lookup.whole(site, self._summary, [bucket])[1]
            for label, number in hits.items():
                _add(table, label.decode(errors="replace"), int(number), int(sizes.get(label, 0)))
        return table

    def _label(self, label: str, buckets: Sequence[str]) -> list[Tallies]:
        tables: list[Tallies] = [{} for _ in buckets]
        for site in self._sites:
            found = self._lookup.label(site, self._summary, label, buckets)[1]
            for table, (hits, size) in zip(tables, found, strict=True):
                if hits:
                    _add(table, label, hits, size)
        return tables


def _add(table: Tallies, label: str, hits: int, size: int) -> None:
    tally = table.setdefault(label, [0, 0])
    tally[0] += hits
    tally[1] += size


def _chunks(buckets: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(buckets)
    while chunk := list(islice(rest, AT_ONCE)):
        yield chunk
