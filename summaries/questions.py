"""Questions: sites, summaries, series and raw hits, as the API and the command line ask for them."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from msgspec.structs import asdict
from redis import Redis

from summaries.buckets import Calendar
from summaries.chosen import Chosen, chosen
from summaries.counters import Counters
from summaries.figures import Hits, Point, RawHit, Row, Series, SiteRow, Summary, Total
from summaries.lookup import Hashes, Lookup
from summaries.ranking import MOST_ROWS, Merged, Wish, choose
from summaries.raw_hits import MOST_HITS, Window, look
from summaries.spans import MAX_BUCKETS, BadQuestion, Span
from tracker.raw import START, RawLog, oldest
from tracker.settings import Settings
from tracker.sites import Sites

PART = 20_000  # labels read at one moment: two full counters, a bucket and the one before
PIECE = 4_000  # labels read at once where they are more: a reply keeps a web process busy for some 10 ms
MOST_LABELS = 500_000  # read for one answer; more would keep a web process busy for many seconds


class NotKnown(LookupError):
    """There is no such site or no such summary; the message says which."""


class Questions:
    """Answers of the counters and raw logs on one Redis. Raises NotKnown, BadQuestion, RedisError."""

    def __init__(self, redis: Redis, settings: Settings, picked: Chosen) -> None:
        self.calendar = Calendar.of(settings)
        self._hooks = picked.hooks
        self._sites = Sites(settings, redis)
        self._counters = Counters(redis, self.calendar, settings.max_labels)
        self._lookup = Lookup(redis)
        self._raw = RawLog(redis)

    @classmethod
    def of(cls, settings: Settings, redis: Redis) -> "Questions":
        return cls(redis, settings, chosen(settings))

    def sites(self, now: datetime, wanted: Callable[[str], bool] | None = None) -> list[SiteRow]:
        """Every site that is wanted and its numbers of today, by name."""
        names = sorted(filter(wanted, self._sites.all()))
        return list(self._lookup.sites(names, self.calendar.bucket("day", now)))

    def names(self) -> list[str]:
        """The summaries that are counted, by name."""
        return sorted(self._hooks)

    def described(self) -> dict[str, str]:
        """The summaries by name, each with what it counts, in one line."""
        return {name: " ".join((inspect.getdoc(self._hooks[name]) or "").split()) for name in self.names()}

    def cursors(self, site: str) -> dict[str, str]:
        """Summary -> id up to which it has counted."""
        self._know(site)
        found = self._counters.cursors(site)
        return {name: found.get(name, START) for name in self.names()}

    def summary(self, site: str, name: str, span: Span, wish: Wish) -> Summary:
        """The labels of a summary in the span, a page of them, beside the sums of all."""
        self._know(site, name)
        buckets, before = span.buckets(self.calendar), span.before(self.calendar)
        merged, earlier = Merged(), Merged()
        cursors = set()
        for bucket, cursor, hashes in self._read(site, name, [*before, *buckets]):
            (merged if bucket >= span.first else earlier).add(*hashes)
            cursors.add(cursor)
        matching, rows = choose(merged, wish)
        start, end = span.times(self.calendar)
        return Summary(
            site=site,
            summary=name,
            bucket=span.bucket,
            start=start,
            end=end,
            zone=self.calendar.zone.key,
            cursor=oldest(cursors),
            exact=len(cursors) == 1,
            **asdict(merged.total),
            capped=merged.capped,
            before=earlier.total if earlier.hits else None,
            matching=matching,
            page=wish.page,
            limit=wish.limit,
            labels=rows,
        )

    def _read(self, site: str, name: str, buckets: Sequence[str]) -> Iterator[tuple[str, str, Hashes]]:
        """Bucket, cursor and numbers of each: of one moment as far as PART labels go."""
        lengths = self._lookup.lengths(site, name, buckets)
        if sum(lengths) > MOST_LABELS:
            advice = f"at most {MOST_LABELS} are read: take a shorter range, or larger buckets"
            raise BadQuestion("from", f"asks for {sum(lengths)} labels; {advice}")
        for part in _parts(buckets, lengths, PART if sum(lengths) <= PART else PIECE):
            cursor, found = self._lookup.whole(site, name, part)
            for bucket, hashes in zip(part, found, strict=True):
                yield bucket, cursor, hashes

    def series(self, site: str, name: str, label: str, span: Span) -> Series:
        """One label of a summary over the buckets of the span."""
        self._know(site, name)
        buckets = span.buckets(self.calendar)
        cursor, numbers = self._lookup.label(site, name, label, buckets)
        points = [
            Point(bucket, self.calendar.span(bucket)[0], *pair)
            for bucket, pair in zip(buckets, numbers, strict=True)
        ]
        return Series(
            site=site,
            summary=name,
            label=label,
            cursor=cursor,
            hits=sum(point.hits for point in points),
            bytes=sum(point.bytes for point in points),
            points=points,
        )

    def hits(self, site: str, window: Window) -> Hits:
        """A page of the site's raw hits."""
        self._know(site)
        return look(self._raw, site, window)

    def _know(self, site: str, name: str | None = None) -> None:
        if not self._sites.known(site):
            raise NotKnown(f"No hit of the site {site} has been seen.")
        if name is not None and name not in self._hooks:
            raise NotKnown(f"No summary is named {name}. There are: {', '.join(self.names())}.")


def _parts(buckets: Sequence[str], lengths: Sequence[int], most: int) -> Iterator[list[str]]:
    """Buckets in order, as many at once as hold `most` labels, one at least."""
    part: list[str] = []
    held = 0
    for bucket, length in zip(buckets, lengths, strict=True):
        if part and held + length > most:
            yield part
            part, held = [], 0
        part.append(bucket)
        held += length
    yield part


__all__ = [
    "MAX_BUCKETS",
    "MOST_HITS",
    "MOST_ROWS",
    "BadQuestion",
    "Hits",
    "NotKnown",
    "Point",
    "Questions",
    "RawHit",
    "Row",
    "Series",
    "SiteRow",
    "Span",
    "Summary",
    "Total",
    "Window",
    "Wish",
]
