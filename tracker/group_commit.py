"""GroupCommit: requests that arrive while one append is under way go together in the next."""

import logging
import secrets
import time
from collections.abc import Callable

import gevent
from gevent.event import Event
from redis import RedisError

from tracker.hit import Hit
from tracker.raw import RawLog

log = logging.getLogger(__name__)

DEADLINE = 2.0  # seconds a batch is tried for; a visitor's browser is waiting
PAUSE = 0.05  # seconds between two tries
MOST_WAITING = 10_000  # hits that may wait for one append; further ones are turned away


class NotStored(Exception):
    """The hit is not known to be in the raw log; the message says why."""


class Batch:
    """Hits that go together, and the news of what became of them."""

    def __init__(self) -> None:
        self.hits: dict[str, list[Hit]] = {}
        self.size = 0
        self.done = Event()
        self.error: Exception | None = None

    def add(self, hit: Hit) -> None:
        self.hits.setdefault(hit.site, []).append(hit)
        self.size += 1


class GroupCommit:
    """Appends hits for many greenlets of one process, which is one source."""

    def __init__(self, raw: RawLog) -> None:
        self._raw = raw
        self._source = f"web-{secrets.token_hex(8)}"
        self._position = 0
        self._next = Batch()
        self._wake = Event()
        self._failing = False
        self._writer: gevent.Greenlet[[], None] | None = None

    def append(self, hit: Hit) -> None:
        """Returns when Redis has the hit; raises NotStored where it cannot be had in time."""
        batch = self._next
        if batch.size >= MOST_WAITING:
            raise NotStored("too many hits are waiting")
        batch.add(hit)
        self._wake.set()
        if self._writer is None or self._writer.dead:
            self._writer = gevent.spawn(self._write)
        if not batch.done.wait(2 * DEADLINE):
            raise NotStored("the store takes too long")
        if batch.error:
            raise NotStored("the store is out of reach") from batch.error

    def _write(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            batch, self._next = self._next, Batch()
            self._position += 1
            batch.error = self._store(batch, time.monotonic)
            self._tell(batch.error)
            batch.done.set()

    def _tell(self, error: Exception | None) -> None:
        """One line when Redis goes and one when it is back, not one for each hit between."""
        if error and not self._failing:
            log.error("hits are refused, Redis is out of reach: %s", error)
        elif self._failing and not error:
            log.warning("hits are stored again")
        self._failing = error is not None

    def _store(self, batch: Batch, clock: Callable[[], float]) -> Exception | None:
        """None once all is stored. Tried again under the same position, it cannot double.

        While Redis is known to be away one try is enough: those who wait behind must not add up.
        """
        end = clock() + (0 if self._failing else DEADLINE)
        while True:
            try:
                for site, hits in batch.hits.items():
                    self._raw.append(site, hits, self._source, self._position)
                return None
            except RedisError as error:
                if clock() >= end:
                    return error
            gevent.sleep(PAUSE)
