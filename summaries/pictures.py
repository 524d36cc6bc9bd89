"""Pictures: reads from Redis what a wall shows, whole; for the hub, and for a wall in a terminal."""

import json
from collections.abc import Collection
from datetime import datetime

from summaries.buckets import Calendar
from summaries.chosen import Chosen
from summaries.counters import Counters
from summaries.frame import RATE_SPAN, Picture, Rate, rate_of, wanted
from summaries.recent import SHOWN, news, recent
from tracker.hit import Hit
from tracker.raw import START, Entry, RawLog, order

SEED = 500  # raw hits looked at to know the rate of a site that begins to be watched


class Pictures:
    """Pictures of the summaries `names`, of any site and bucket."""

    def __init__(self, raw: RawLog, counters: Counters, calendar: Calendar, picked: Chosen) -> None:
        self._raw = raw
        self._counters = counters
        self._calendar = calendar
        self._apart = picked.apart

    def read(
        self, site: str, bucket: str, names: Collection[str], rate: Rate | None, now: datetime
    ) -> Picture:
        """What Redis has just now; the rate where it is not known yet is that of the last hits."""
        snapshot = self._counters.read(site, wanted(self._calendar, bucket, names))
        cursor = snapshot.cursors.get("server", START)
        entries = self._raw.before(site, cursor, SEED)
        fresh = news(entries, self._apart, cursor)
        newest = [hit for _, hit in fresh[SHOWN - 1 :: -1]]
        known = rate or _rate(entries, fresh, now)
        return Picture(site, bucket, self._calendar, snapshot, json.loads(recent(newest)), known)

    def lag(self, site: str, cursor: str, now: datetime) -> float:
        """Age of the oldest hit after the cursor, seconds; 0 where there is none."""
        waiting = self._raw.after(site, cursor, 1)
        arrived = order(waiting[0][0])[0] / 1000 if waiting else now.timestamp()
        return round(max(0.0, now.timestamp() - arrived), 3)


def _rate(entries: list[Entry], fresh: list[tuple[str, Hit]], now: datetime) -> Rate:
    whole = len(entries) < SEED
    start = now.timestamp() - RATE_SPAN if whole else order(entries[-1][0])[0] / 1000
    return rate_of([name for name, _ in fresh], start)
