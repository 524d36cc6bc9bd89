"""Mending: counters that lost their numbers get them back from the raw log, while counting goes on."""

import logging
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, cast

from redis import Redis, RedisError

from summaries.alignment import Alignment
from summaries.buckets import Calendar
from summaries.chosen import Chosen, chosen
from summaries.recount import Place, Recount, Unsettled
from summaries.verify import Comparison, Report
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
        cursors = cast(dict[bytes, bytes], self.redis.hgetall(keys.cursor(site)))
        holes = [hole.decode() for hole in found if hole.partition(b" ")[0] in cursors]
        names = {hole.partition(" ")[0] for hole in holes} & self.picked.hooks.keys()
        if names:
            self._tell(site, self._mend(site, names, holes))
        if holes:
            self.redis.srem(keys.holes(site), *holes)

    def _mend(self, site: str, names: set[str], holes: list[str]) -> Report:
        hooks = {name: hook for name, hook in self.picked.hooks.items() if name in names}
        picked = Chosen(hooks, self.picked.apart)
        recount = Recount(RawLog(self.redis), site, picked, self.calendar, self.most, self._check)
        comparison = Comparison(self.redis, recount)
        places = [cast(Place, tuple(hole.split(" "))) for hole in holes if hole.partition(" ")[0] in names]
        if any(len(place) == 1 for place in places):  # all counters of a summary
            return comparison.mend(self._check)
        return comparison.patch(places, self._check)

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
