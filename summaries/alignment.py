"""Alignment: a site's cursors, counters and raw log belong together; where one of them was lost, again so."""

import logging
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import cast

from redis import Redis

from summaries.buckets import Calendar
from summaries.recent import LAST
from summaries.stretch import Stretch
from tracker import keys
from tracker.foreign import undisturbed
from tracker.raw import START, RawLog, order

log = logging.getLogger(__name__)

MONTHS = 24  # of a raw log that are looked at, the newest


class Alignment:
    """Of all sites on one Redis."""

    def __init__(self, redis: Redis, calendar: Calendar) -> None:
        self._redis = redis
        self._calendar = calendar
        self._raw = RawLog(redis)
        self._realign = redis.register_script(Path(__file__).with_name("realign.lua").read_text("utf-8"))

    def look(self, site: str) -> bool:
        """Mend what can be at once; whether counters wait to be put right from the raw log."""
        names = [keys.cursor(site), keys.raw(site), keys.trimmed(site), keys.holes(site)]
        found, holes = cast(
            tuple[int, int], undisturbed(self._redis, names, lambda: self._realign(keys=names))
        )
        if found:
            log.error("%s: the raw log lacks hits that are counted; what they count as stays", site)
        if found > 1:
            log.error(
                "%s: the raw log begins anew, with ids of a clock that was set back: it is counted", site
            )
        return holes > 0

    def lost(self, site: str, summaries: Iterable[str]) -> list[str]:
        """Which of these summaries without a cursor have counted something that the raw log holds."""
        first = self._raw.after(site, START, 1)
        last = self._raw.before(site, "+", 1)
        if not first:
            return []
        ends = [
            datetime.fromtimestamp(min(order(found[0][0])[0] / 1000, LAST), UTC) for found in (first, last)
        ]
        buckets = list(islice(Stretch(self._calendar, *ends).buckets("month"), MONTHS))
        with self._redis.pipeline(transaction=False) as pipe:
            wanted = list(summaries)
            for name in wanted:
                pipe.exists(*(keys.counter(site, "hits", name, bucket) for bucket in buckets))
            return [name for name, found in zip(wanted, pipe.execute(), strict=True) if found]

    def restore(self, site: str, summaries: Sequence[str]) -> None:
        """Give these summaries a cursor at the log's end; their counters wait to be put right."""
        end = self._raw.before(site, "+", 1)[0][0]
        log.error("%s: the cursors of %s were lost; they are counted anew", site, ", ".join(summaries))
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.sadd(keys.holes(site), *(keys.hole(name, keys.ALL, time.time_ns()) for name in summaries))
            for name in summaries:
                pipe.hsetnx(keys.cursor(site), name, end)
            pipe.execute()
