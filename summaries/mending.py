"""Mending: counters that lost their numbers get them back from the raw log, while counting goes on."""

import logging
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, cast

from redis import Redis, RedisError

from summaries.alignment import Alignment
from summaries.buckets import Calendar
from summaries.chosen import Chosen, chosen
from summaries.differences import Report
from summaries.recount import Place, Recount, Unsettled
from summaries.verify import Comparison
from tracker import keys
from tracker.raw import RawLog
from tracker.settings import Settings

log = logging.getLogger(__name__)


class Stopped(Exception):
    """The process is about to end."""


@dataclass
class Mending:
    """Of all sites on one Redis, one site at a time: a million hits take half a minute to be read."""

    redis: Redis
    picked: Chosen
    calendar: Calendar
    most: int  # labels of a counter
    stop: Event
    _worker: Thread | None = None
    _alignment: Alignment = field(init=False)

    def __post_init__(self) -> None:
        self._alignment = Alignment(self.redis, self.calendar)

    @classmethod
    def of(cls, settings: Settings, redis: Redis, stop: Event) -> "Mending":
        return cls(redis, chosen(settings), Calendar.of(settings), settings.max_labels, stop)

    def look(self, site: str) -> None:
        """Bring the site's cursors and its raw log together; begin to mend its counters, where there is need.

        Whoever is at it already is left in peace: the next look is soon.
        """
        waiting = self._alignment.look(site)
        if waiting and (self._worker is None or not self._worker.is_alive()):
            self._worker = Thread(target=self._work, args=(site,), daemon=True)
            self._worker.start()

    def _work(self, site: str) -> None:
        try:
            self.mend(site)
        except Stopped:
            pass
        except (RedisError, Unsettled) as error:
            log.warning("%s: counters cannot be put right just now: %s", site, error)

    def mend(self, site: str) -> None:
        """Put right what waits for it. Raises RedisError and Unsettled: then it waits on."""
        found = cast(set[bytes], self.redis.smembers(keys.holes(site)))
        counted = {name.decode(errors="replace") for name in cast(Any, self.redis.hkeys(keys.cursor(site)))}
        holes = {hole: keys.parse_hole(hole) for hole in found}
        ready = {
            hole: place
            for hole, place in holes.items()
            if not place or place[0] in counted or (place[0] == keys.ALL and counted)
        }
        if places := {place for place in ready.values() if place}:
            self._mend(site, places, counted & self.picked.hooks.keys())
        if ready:
            self.redis.srem(keys.holes(site), *ready)

    def _mend(self, site: str, places: set[Place], counted: set[str]) -> None:
        names = {name for name, _ in places}
        names = counted if keys.ALL in names else counted & names
        if not names:
            return
        hooks = {name: hook for name, hook in self.picked.hooks.items() if name in names}
        picked = Chosen(hooks, self.picked.apart)
        recount = Recount(RawLog(self.redis), site, picked, self.calendar, self.most, self._check)
        comparison = Comparison(self.redis, recount)
        if any(bucket == keys.ALL for _, bucket in places):
            self._tell(site, comparison.mend(self._check))
        else:
            self._tell(site, comparison.patch([at for at in places if at[0] in names], self._check))

    def _check(self, *read: Any) -> None:
        if self.stop.is_set():
            raise Stopped

    def _tell(self, site: str, report: Report) -> None:
        """What is right again, what waits for a hand, and what nobody can mend."""
        mended = report.differ - report.left
        log.warning("%s: %d counters were put right from the raw log", site, mended)
        if report.left:
            failing = " ".join(f"--summary {name}" for name in report.failed)
            log.error(
                "%s: %d counters were not, their hooks fail; these mended, run hitwall recount --site %s %s",
                *(site, report.left, site, failing),
            )
        if report.unchecked:
            log.error(
                "%s: %d counters lack hits for good: the raw log does not hold them any more",
                *(site, report.unchecked),
            )
