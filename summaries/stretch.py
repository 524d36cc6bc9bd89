"""Stretch: the time that get_sum asks about, in buckets of any kind. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from summaries.buckets import Calendar
from tracker import fields

MINUTE = timedelta(minutes=1)
# What a bucket can hold.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(8999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Stretch:
    """From the bucket that holds `first` up to the one that holds `last`, whatever their kind."""

    calendar: Calendar
    first: datetime
    last: datetime

    @classmethod
    def of(cls, calendar: Calendar, start: datetime | None, end: datetime | None, now: datetime) -> "Stretch":
        """A start alone means the buckets that it lies in, an end alone all up to it, neither all.

        No hit is later than a day from now, and no bucket of theirs.
        """
        if start and not end:
            return cls(calendar, _held(start), _held(start))
        return cls(calendar, _held(start or EARLIEST), _held(min(end or LATEST, now + fields.AHEAD)))

    def has(self, bucket: str) -> bool:
        kind = bucket.partition(":")[0]
        return self.calendar.bucket(kind, self.first) <= bucket <= self.calendar.bucket(kind, self.last)

    def buckets(self, kind: str, inside: str = "") -> Iterator[str]:
        """Its buckets of that kind, the newest first; of those only the ones in a larger bucket."""
        first, last = self.first, self.last
        if inside:
            start, end = self.calendar.span(inside)
            first, last = max(first, start), min(last, end - MINUTE)
        bucket, oldest = self.calendar.bucket(kind, last), self.calendar.bucket(kind, first)
        while bucket >= oldest:
            yield bucket
            bucket = self.calendar.previous(bucket)

    def whole(self) -> tuple[datetime, datetime]:
        """When its first month begins and its last one ends, that moment in."""
        months = [self.calendar.bucket("month", at) for at in (self.first, self.last)]
        return self.calendar.span(months[0])[0], self.calendar.span(months[1])[1] - timedelta(microseconds=1)


def _held(at: datetime) -> datetime:
    return min(max(at, EARLIEST), LATEST)
