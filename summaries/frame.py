"""Picture: what one wall shows, kept up by announcements; `frame` draws it whole. Pure."""

import json
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from summaries.buckets import Calendar, minutes_of
from summaries.counters import Announcement, Snapshot
from summaries.fold import BOT
from summaries.tally import OTHER, SHOWN, Tally
from tracker.raw import START, order

RATE_SPAN = 10.0  # seconds over which hits per second are measured
PERSONAL = frozenset({"ip", "visitor"})  # summaries whose labels are people; strangers get them of no site
NOT_LISTED = {"server", "minute", "visitor"}  # total, series, and what is nobody's business
HOURS = tuple(f"{hour:02}" for hour in range(24))

Series = list[tuple[str, int]]  # label, hits
Recent = list[dict[str, str]]  # the last hits as summaries/recent.py tells them


@dataclass
class Rate:
    """Hits per second over the last seconds, of arrivals since `start` (seconds since 1970)."""

    start: float
    arrivals: deque[tuple[float, int]] = field(default_factory=deque)  # bound: RATE_SPAN / pace

    def add(self, at: float, hits: int) -> None:
        self.arrivals.append((at, hits))

    def now(self, at: float) -> float:
        """Of the last RATE_SPAN; a clock that was set back leaves arrivals in times to come: they go."""
        while self.arrivals and not at - RATE_SPAN < self.arrivals[0][0] <= at + RATE_SPAN:
            self.arrivals.popleft()
        known = at - self.start if at >= self.start else RATE_SPAN
        span = max(1.0, min(RATE_SPAN, known))
        return round(sum(hits for _, hits in self.arrivals) / span, 1)


def rate_of(ids: Iterable[str], start: float) -> Rate:
    """As the stream ids of all hits since `start` tell it, newest first."""
    rate = Rate(start)
    times = [order(name)[0] / 1000 for name in ids][::-1]
    for at in times:
        rate.add(at, 1)
    return rate


@dataclass
class Picture:
    """Tallies of one site and bucket, all as of their cursors."""

    site: str
    bucket: str
    calendar: Calendar
    snapshot: Snapshot
    recent: Recent
    rate: Rate

    @property
    def cursor(self) -> str:
        """Up to where the totals count; the version of everything a frame shows."""
        return self.snapshot.cursors.get("server", START)

    def take(self, news: Announcement, at: float) -> bool:
        """Take in what a batch has added; False where the picture has to be read anew."""
        if news.quiet:  # also of a cursor that we have: counters are swapped for right ones where they stand
            return False
        stands = [self.snapshot.cursors.get(name, START) for name in news.summaries]
        if all(order(cursor) >= order(news.end) for cursor in stands):
            return True
        if any(cursor != news.start for cursor in stands):
            return False
        for name, bucket, distinct, capped, rows in news.entries:
            tally = self.snapshot.tallies.get((name, bucket))
            if tally is not None:
                tally.distinct, tally.capped = distinct, capped
                tally.update(rows)
        self.snapshot.cursors.update(dict.fromkeys(news.summaries, news.end))
        if "server" in news.summaries:
            self.rate.add(at, news.hits)
            self.recent = (msgspec.json.decode(news.recent, type=Recent) + self.recent)[:SHOWN]
        return True

    def frame(self, now: datetime) -> dict[str, Any]:
        """All that a wall shows, of one cursor: a summary that stands elsewhere is left out."""
        total = self._tally("server", self.bucket)
        shown = [name for name, bucket in self.snapshot.tallies if bucket == self.bucket]
        tallies = {name: self._tally(name, self.bucket) for name in shown}
        return {
            "site": self.site,
            "bucket": self.bucket,
            "at": _iso(now),
            "cursor": self.cursor,
            "hits": total.hits(),
            "bytes": total.bytes(),
            "bots": self._tally(BOT, self.bucket).hits(),
            "visitors": self._tally("visitor", self.bucket).distinct,
            "rate": self.rate.now(now.timestamp()),
            "series": list(self._series(self.bucket, now)),
            "before": self._before(),
            "top": {name: tally.top() for name, tally in tallies.items() if name not in NOT_LISTED},
            "recent": self.recent,
            "capped": [name for name, tally in tallies.items() if tally.capped],
            "zone": self.calendar.zone.key,
        }

    def _tally(self, name: str, bucket: str) -> Tally:
        """As of the picture's cursor, else an empty one."""
        if self.snapshot.cursors.get(name, START) == self.cursor:
            return self.snapshot.tallies.get((name, bucket)) or Tally()
        return Tally()

    def _series(self, bucket: str, now: datetime) -> Iterator[tuple[str, int]]:
        """Hits per minute of an hour, hour of a day, day of a month; none that lies ahead."""
        kind = bucket.partition(":")[0]
        current = self.calendar.bucket(kind, now) == bucket
        today, clock = self.calendar.bucket("day", now), self.calendar.minute(now)
        if kind == "month":
            for day in self.calendar.days(bucket):
                if not current or day <= today:
                    yield day.removeprefix("day:"), self._tally("server", day).hits()
            return
        rows = self._tally("minute", bucket).rows
        if kind == "hour":
            for label in minutes_of(bucket):
                if not current or label <= clock:
                    yield label, rows[label][1] if label in rows else 0
            return
        hours = dict.fromkeys(HOURS, 0)
        for label, hits, _ in rows.values():
            if label != OTHER:  # a cap below the minutes of a day
                hours[label[:2]] += hits
        yield from ((f"{h}:00", n) for h, n in hours.items() if not current or h <= clock[:2])

    def _before(self) -> Series:
        """The whole bucket before; empty where nothing is known of it."""
        end = self.calendar.span(self.bucket)[1]
        series = list(self._series(self.calendar.previous(self.bucket), end))
        return series if any(hits for _, hits in series) else []


def wanted(calendar: Calendar, bucket: str, names: Collection[str]) -> dict[tuple[str, str], int | None]:
    """The tallies that a wall of this bucket needs, and how many labels of each."""
    tallies: dict[tuple[str, str], int | None] = {(name, bucket): SHOWN for name in names}
    if "visitor" in names:
        tallies["visitor", bucket] = 0  # how many, and nobody by name
    previous = calendar.previous(bucket)
    if BOT in names:
        tallies[BOT, bucket] = None  # there are some hundred, and the wall tells their sum
    if bucket.startswith("month:"):
        days = calendar.days(previous) + calendar.days(bucket)
        tallies.update({("server", day): None for day in days})
    else:
        tallies.update({("minute", bucket): None, ("minute", previous): None})
    return tallies


def dump(frame: dict[str, Any]) -> str:
    """JSON in one line of ASCII: what visitors send may hold characters that end an event's line."""
    return json.dumps(frame, ensure_ascii=True, separators=(",", ":"))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
