"""Rounds: the counting process at work, site by site, for ever.

What goes wrong with one site holds up no other; what goes wrong with Redis holds up all, and is told.
"""

import logging
import re
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event
from typing import TypeVar

from redis import Redis, RedisError, ResponseError

from summaries.counting import Counting, Step
from summaries.lease import LEASE, Lease
from summaries.mending import Mending
from summaries.pace import Pace
from summaries.patrol import Patrol
from summaries.retention import Retention
from tracker.foreign import list_sites
from tracker.nodes import NodeAway
from tracker.seldom import Seldom
from tracker.settings import Settings

log = logging.getLogger(__name__)

RETRY = 0.02  # seconds until the first try to reach a Redis that is away
IDLE = 0.2  # seconds to wait for a hit before looking for new sites
BEHIND = 5.0  # seconds of lag worth a line in the log
TIDY = 60.0  # seconds in which each site is looked at for raw hits to forget, and between two warnings
PARTS = 10  # of 1,000 raw hits that are forgotten at once, 30 ms; the next round goes on
LOOK = 5.0  # seconds in which each site is looked at once: do its cursors and its raw log belong together?
REST = 1.0  # seconds for which a site is left alone that could not be counted

# What Redis says when it takes nothing from anybody; of other errors each site has its own.
GENERAL = re.compile(
    "maxmemory|OOM|MISCONF|NOREPLICAS|READONLY|read only|LOADING|CLUSTERDOWN|MASTERDOWN|NOAUTH|NOPERM|BUSY"
    "|permission"
)
T = TypeVar("T")


def run(settings: Settings, redis: Redis, stop: Event) -> None:
    """Count until `stop` is set; of several processes one works. Outlives a Redis that goes away."""
    counting, mending = Counting.of(settings, redis), Mending.of(settings, redis, stop)
    rounds = Rounds(counting, mending, Retention(redis, counting.calendar), Lease(redis), stop)
    while not stop.is_set():
        try:
            if rounds.lease.hold():
                with suppress(NodeAway):  # the others count on
                    if not rounds.counting.raw.sites():
                        list_sites(redis)
                rounds.work()
            else:
                rounds.goes_on()
                stop.wait(LEASE / 4)
        except RedisError as error:
            rounds.waits(error)
        rounds.counting.reread()
    rounds.lease.release()


class Rounds:
    """Counts while the lease is ours."""

    def __init__(
        self, counting: Counting, mending: Mending, retention: Retention, lease: Lease, stop: Event
    ) -> None:
        self.counting = counting
        self.lease = lease
        self._mending = mending
        self._retention = retention
        self._stop = stop
        self._looks = self._tidies = Patrol(LOOK, IDLE)  # `work` begins anew
        self._pace = Pace()
        self._wait = RETRY  # seconds until the next try while Redis is away
        self._rests: dict[str, float] = {}  # site -> when to try it again, monotonic; bound: the sites
        self._trouble = Seldom(
            log, logging.ERROR, "%d times a site could not be counted, the last was %s: %s"
        )

    def waits(self, error: RedisError) -> None:
        """Redis is away: rest a moment, longer each time."""
        if self._wait == RETRY:
            log.warning("counting waits for Redis: %s", error)
        self._stop.wait(self._wait)
        self._wait = min(1.0, self._wait * 2)

    def goes_on(self) -> None:
        """Redis has answered to all that was asked."""
        if self._wait > RETRY:
            log.warning("counting goes on")
        self._wait = RETRY

    def work(self) -> None:
        """Until the lease is another's, or `stop` is set. Raises RedisError where all sites are held up."""
        warned = 0.0
        self._looks, self._tidies = Patrol(LOOK, IDLE), Patrol(TIDY, IDLE)
        while self.lease.hold() and not self._stop.is_set():
            sites = self.counting.sites()
            self._look(sites)
            self._each(self._tidies.next(sites), self._tidy)
            with suppress(NodeAway):
                self._retention.step(time.time())
            lag = self._busy(sites)
            self.goes_on()
            self.counting.report.tell()
            if lag > BEHIND and time.monotonic() >= warned:
                warned = time.monotonic() + TIDY
                log.warning("counting is %.1f s behind", lag)

    def _look(self, sites: Collection[str]) -> None:
        """Redis may be another than a moment ago, and who is at its keys need not know us."""
        seen = self._looks.next(sites)
        for site in seen:
            self.counting.reread(site)
        self._each(seen, self._mending.look)

    def _tidy(self, site: str) -> None:
        if self.counting.forget(site, datetime.now(UTC), PARTS):
            self._tidies.again(site)

    def _busy(self, sites: Iterable[str]) -> float:
        """Count what these sites have for about IDLE seconds; the greatest lag seen, in seconds."""
        end = time.monotonic() + IDLE
        lag = 0.0
        while (left := end - time.monotonic()) > 0 and not self._stop.is_set():
            cursors = dict(self._each(sites, lambda site: (site, self.counting.cursor(site))))
            if not cursors:
                self._stop.wait(left)
                continue
            begun = time.monotonic()
            ready = self.counting.raw.waiting(cursors, left)
            steps: list[Step] = self._each(ready, self.counting.step)
            lag = max([lag, *(step.lag for step in steps)])
            spent = time.monotonic() - begun
            if ready and not any(step.more for step in steps):
                self._stop.wait(self._pace.rest(begun, sum(step.hits for step in steps), spent))
        return lag

    def _each(self, sites: Iterable[str], do: Callable[[str], T]) -> list[T]:
        """What `do` gives for each site; one that fails rests."""
        done: list[T] = []
        for site in sites:
            if self._rests.get(site, 0.0) > time.monotonic():
                continue
            try:
                done.append(do(site))
            except NodeAway:
                self._leave(site)
            except ResponseError as error:
                if GENERAL.search(str(error)):
                    raise
                self._leave(site)
                self._trouble.add(1, site, error)
        return done

    def _leave(self, site: str) -> None:
        self._rests[site] = time.monotonic() + REST
        self.counting.reread(site)
