"""Delivery: takes the hits of one process to one storage, in a thread or greenlet of its own."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from tracker.batches import MOST, Batches, Counts
from tracker.called import Called, ends_thread
from tracker.hit import Hit
from tracker.seldom import Seldom, say
from tracker.spool import Spool
from tracker.storage import Batch, Stores, Unstorable

log = logging.getLogger(__name__)

GATHER = 0.03  # seconds in which hits gather, so that they go together
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 3.0  # seconds between two tries to reach a storage that is away
SPILL = 0.2  # seconds; while a storage is away, what is queued is on disk after that
ADOPT = 60.0  # seconds between two looks for what processes that are gone have left
RELIEF = 0.5  # seconds between two tries to make room in the queue
LOCKED = 1.0  # seconds that the end of a process waits for a disk


@dataclass(frozen=True)
class Target:
    """Where hits go. `spool` is a directory; `name` tells its files from others' there."""

    storage: Stores
    name: str
    spool: Path | None
    called: Called


class Delivery:
    """Made and started in the process that it serves: another's locks, files and names would not do."""

    def __init__(
        self, target: Target, queue: deque[Hit], counts: Counts, is_wanted: Callable[[], object]
    ) -> None:
        """`is_wanted` is asked now and then, and says no when nobody can put a hit any more."""
        self.is_idle = False  # whether the thread sleeps until `wake`
        self.is_relieving = False  # whether a thread is at work to make room in the queue
        spool = Spool(target.spool, target.name) if target.spool else None
        self.batches = Batches(queue, spool, counts)
        self._storage = target.storage
        self._name = target.name
        self._called = target.called
        self._queue = queue
        self._counts = counts
        self._is_wanted = is_wanted
        self._wake = threading.Event()
        self._telling = threading.Lock()
        self._closed = False
        self._tries = 0  # in vain, in a row
        self._is_away_told = False
        self._adopts = 0.0  # when to look for what is left, monotonic
        self._told = 0  # drops that have been told
        self._refused = Seldom(log, logging.ERROR, "%d hits were given up: %s raised %s")
        self._faults = Seldom(log, logging.ERROR, "%d times storing was interrupted: %s")
        self._failed = Seldom(log, logging.WARNING, "%d tries to store failed, %s is out of reach: %s")
        self._dropped = Seldom(
            log, logging.ERROR, "%d hits were dropped: %s does not take them, the spool %s: see to either"
        )
        self._spool_state = "has no room" if spool else "is switched off"

    def start(self) -> None:
        """Raises RuntimeError where no thread can be had."""
        threading.Thread(target=self._run, name=f"hitwall-{self._name}", daemon=True).start()

    def wake(self) -> None:
        """There is a hit."""
        self._wake.set()

    def relieve(self, most: int) -> None:
        """While more than so many hits are queued, put them into the spool."""
        try:
            while len(self._queue) > most and not self._closed:
                is_spilled = self.batches.spill()
                self._wake.set()  # or nobody would know of what is in the spool
                self._tell_drops()
                if not is_spilled:
                    time.sleep(RELIEF)
        finally:
            self.is_relieving = False

    def flush(self, timeout: float) -> bool:
        """Whether all that waits now is stored in that time; while the storage is away: is in the spool."""
        return self.batches.wait(timeout, lambda: self._tries > 0 or self._closed)

    def close(self, timeout: float) -> None:
        """What is not stored in that time goes into the spool; what that does not take is dropped."""
        if self._closed:
            return
        self.flush(timeout)
        self._closed = True
        self.batches.close(LOCKED)
        self._wake.set()
        self._tell(now=True)

    def abandon(self) -> None:
        """Of a forked child: gevent copies a greenlet as well, and this one is its parent's."""
        self._closed = True
        self.batches.abandon()

    def _run(self) -> None:
        while not self._closed and (self._is_wanted() or self.batches.waiting):
            try:
                self._step()
            # A MemoryError may come from anywhere, and an outbox without its thread loses every hit.
            except Exception as error:
                self._faults.add(1, repr(error))
                time.sleep(LONGEST_PAUSE)
        self.close(0)

    def _step(self) -> None:
        if time.monotonic() >= self._adopts:
            self._adopts = time.monotonic() + ADOPT
            self.batches.adopt()
        if self.batches.hand is None and not self.batches.is_replaying:
            self._gather()
        batch = self.batches.next()
        if batch is not None and not self._deliver(batch):
            self._pause()
        self._tell()

    def _gather(self) -> None:
        """Sleep until there is a hit, and a little longer for more of them."""
        self.is_idle = True
        if not self.batches.waiting and not self._closed:
            self._wake.wait(max(0.0, self._adopts - time.monotonic()))
        self.is_idle = False
        self._wake.clear()
        if 0 < len(self._queue) < MOST and not self._closed:
            time.sleep(GATHER)

    def _deliver(self, batch: Batch) -> bool:
        """Whether its fate is known."""
        lost: Collection[int] = ()
        try:
            self._storage.store(batch)
        except OSError as error:
            self._tries += 1
            self._is_away_told |= self._failed.add(1, self._name, error)
            return False
        # A storage is foreign code and may raise anything: SystemExit, or gevent's Timeout.
        except BaseException as error:
            if ends_thread(error):
                raise
            lost = range(len(batch))
            if isinstance(error, Unstorable):
                lost = error.places.intersection(lost)
            self._refused.add(len(lost), self._name, repr(error))
        self.batches.drop(stored=len(batch) - len(lost), failed=len(lost))
        self._called(hit for place, hit in enumerate(batch) if place not in lost)
        if self._is_away_told:
            say(log, logging.WARNING, "%s is within reach again", self._name)
        self._tries, self._is_away_told = 0, False
        self.batches.settle()
        return True

    def _pause(self) -> None:
        """Until the next try; what comes meanwhile goes into the spool."""
        end = time.monotonic() + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(10, self._tries - 1))
        while not self._closed:
            self.batches.spill()
            left = end - time.monotonic()
            if left <= 0:
                break
            self._tell_drops()
            self._wake.wait(min(left, SPILL))
            self._wake.clear()  # or the next turns would not sleep

    def _tell(self, now: bool = False) -> None:
        """What no line has told yet."""
        self._tell_drops(now)
        self._refused.tell(now)
        self._failed.tell(now)
        self._called.tell(now)

    def _tell_drops(self, now: bool = False) -> None:
        """Requests only count them: a line may take its time."""
        if self._telling.acquire(blocking=False):  # else another thread is at it
            try:
                dropped, self._told = self._counts.dropped - self._told, self._counts.dropped
                self._dropped.add(dropped, self._name, self._spool_state)
                self._dropped.tell(now)
            finally:
                self._telling.release()
