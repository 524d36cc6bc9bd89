"""Outbox: takes hits from requests and never makes one wait; a thread for each process stores them."""

import _thread
import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from dataclasses import replace
from multiprocessing.util import Finalize
from pathlib import Path

from tracker.batches import Counts
from tracker.called import Called
from tracker.delivery import Delivery, Target
from tracker.hit import Hit
from tracker.seldom import Seldom
from tracker.storage import Stores

log = logging.getLogger(__name__)

QUEUE = 10_000  # hits, some 20 MB; beyond that they are dropped
RELIEF = 4  # the part of it, a quarter, from which on hits go to the disk: the first take half a second
BUSY = 1_000  # hits that wait; so many mean that the thread that stores them lacks turns
EXIT = 3.0  # seconds that the end of a process may wait for its storages

_ENDS: dict[str, int] = {}  # the process that is prepared for its end
_OUTBOXES: "weakref.WeakSet[Outbox]" = weakref.WeakSet()
_RUNNING: "weakref.WeakSet[Delivery]" = weakref.WeakSet()  # a thread may outlive its outbox


class Outbox:
    """Hits on their way to one storage. `put` may be called from any thread, greenlet and process."""

    def __init__(self, storage: Stores, name: str, spool: Path | None) -> None:
        """`name` tells the spool's files from those of others in that directory, also after a restart."""
        called = Called(tuple(getattr(storage, "hooks", None) or ()))
        self._target = Target(storage, name, spool, called)
        self.hashes_addresses = bool(getattr(storage, "hashes_addresses", False))
        self._threadless = Seldom(log, logging.ERROR, "no thread can be started for hits, %d times: %s")
        self.begin()
        _OUTBOXES.add(self)

    def begin(self) -> None:
        """As new: in a forked child nobody will release a lock, and what is queued is the parent's."""
        self._delivery: Delivery | None = None
        self._most = QUEUE
        self._queue: deque[Hit] = deque()
        self._counts = Counts()
        self._counting = threading.Lock()
        self._turns = [1]  # whoever takes it out starts the thread: a pop needs no lock

    def put(self, hit: Hit) -> None:
        """Take the hit. It is dropped, and counted, where too many wait."""
        queue = self._queue
        waiting = len(queue)
        if waiting < self._most:
            queue.append(hit)
        else:
            with self._counting:
                self._counts.dropped += 1
        delivery = self._delivery
        if delivery is None:
            self._start()
        elif delivery.is_idle:
            delivery.wake()
        elif waiting > QUEUE // RELIEF and not delivery.is_relieving:
            self._relieve(delivery)
        if waiting > BUSY:
            time.sleep(0)  # passes the interpreter on; among eight busy threads each turn takes 40 ms to come

    @property
    def counts(self) -> Counts:
        """What became of this process's hits so far."""
        delivery = self._delivery
        waiting = len(self._queue) if delivery is None else delivery.batches.waiting
        return replace(self._counts, waiting=waiting)

    def flush(self, timeout: float) -> bool:
        """Whether all hits put before are stored, or in the spool while the storage is away, in that time."""
        delivery = self._delivery
        if delivery is None:
            return not self._queue
        return delivery.flush(timeout)

    def close(self, timeout: float) -> None:
        """Take no more hits in this process; what is not stored in that time goes into the spool."""
        self._most = 0
        self._turns.clear()
        if self._delivery is not None:
            self._delivery.close(timeout)

    def _start(self) -> None:
        try:
            turn = self._turns.pop()
        except IndexError:
            return
        delivery = Delivery(self._target, self._queue, self._counts, weakref.ref(self))
        # All this before it starts: who puts meanwhile must find it to wake it, and a signal may end us.
        self._delivery = delivery
        _RUNNING.add(delivery)
        _close_at_exit()
        try:
            delivery.start()
        except RuntimeError as error:  # the system's bound on threads; the next hit tries again
            self._delivery = None
            self._threadless.add(1, error)
            self._turns.append(turn)

    def _relieve(self, delivery: Delivery) -> None:
        delivery.is_relieving = True
        try:
            _thread.start_new_thread(delivery.relieve, (QUEUE // RELIEF,))  # Thread.start would wait for it
        except RuntimeError:
            delivery.is_relieving = False


def _close_at_exit() -> None:
    """Each process has to say it itself: children of multiprocessing end with these, but without atexit."""
    atexit.unregister(_close_all)
    atexit.register(_close_all)  # anew, to come before whatever the storage has registered meanwhile
    if _ENDS.get("process") != os.getpid():
        _ENDS["process"] = os.getpid()
        Finalize(None, _close_all, exitpriority=100)


def _close_all() -> None:
    end = time.monotonic() + EXIT
    for outbox in list(_OUTBOXES):
        outbox.close(max(0.0, end - time.monotonic()))
    for delivery in list(_RUNNING):
        delivery.close(max(0.0, end - time.monotonic()))


def _forked() -> None:
    for delivery in list(_RUNNING):
        delivery.abandon()
    _RUNNING.clear()
    for outbox in list(_OUTBOXES):
        outbox.begin()


os.register_at_fork(after_in_child=_forked)
