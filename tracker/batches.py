"""Batches: the hits of one source in order, from its queue or by way of its spool."""

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tracker.hit import Hit
from tracker.seldom import Seldom
from tracker.spool import Spool
from tracker.storage import Batch

log = logging.getLogger(__name__)

MOST = 500  # hits of a batch
GROUP = 20  # batches that go to the disk at once: all that a queue holds, and as much waits to go there


@dataclass
class Counts:
    """Hits of this process, and what became of them."""

    stored: int = 0  # those that were in the spool before among them
    spooled: int = 0  # put on disk
    failed: int = 0  # given up: the storage or the spool cannot hold them
    dropped: int = 0  # neither the storage nor the spool took them in time
    waiting: int = 0  # in memory


class Batches:
    """Positions grow on every way: who forms a batch has the lock, and the spool goes before the queue."""

    def __init__(self, queue: deque[Hit], spool: Spool | None, counts: Counts) -> None:
        self.hand: Batch | None = None  # what `next` gave; its fate is not known
        self.is_replaying = False  # whether the spool may hold a batch
        self._queue = queue
        self._spool = spool
        self._counts = counts
        self._source = _new_source()
        self._position = 0
        self._in_spool = False  # whether the batch in hand is there, too
        self._formed: deque[Batch] = deque()  # the spool did not take them; they go next
        self._writing: list[Batch] = []  # on their way to the disk, but for the hand
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._settled = 0  # hits that have left memory, with all done that follows
        self._finishing: int | None = None  # hits of a batch that is stored, not settled; 0: of the spool
        self._closed = False
        self._unwritten = Seldom(log, logging.ERROR, "%d hits were given up, no JSON can hold them: %r")

    @property
    def waiting(self) -> int:
        """Hits that are nowhere but in memory."""
        hand = () if self.hand is None or self._in_spool else self.hand
        return len(self._queue) + len(hand) + sum(map(len, (*self._formed, *self._writing)))

    def adopt(self) -> None:
        """Take over what processes that are gone have left."""
        with self._lock:
            if self._spool and not self._closed:
                self._spool.adopt()
                self.is_replaying = True

    def next(self) -> Batch | None:
        """The first batch whose fate is not known: the same until it is."""
        with self._lock:
            if self.hand is None and not self._closed:
                self.hand = self._replayed() or self._form()
            return self.hand

    def drop(self, stored: int = 0, failed: int = 0) -> None:
        """The batch in hand must not come again: so many hits are stored, or given up. `settle` follows."""
        with self._lock:
            self._counts.stored += stored
            self._counts.failed += failed
            if self.hand is not None and not self._closed:
                self._finishing = 0 if self._in_spool else len(self.hand)
                if self._in_spool and self._spool:
                    self._spool.done()
                self.hand, self._in_spool = None, False

    def settle(self) -> None:
        """Everything is done that follows storing."""
        with self._lock:
            self._settled += self._finishing or 0
            self._finishing = None
            self._changed.notify_all()

    def spill(self) -> bool:
        """What is in memory now into the spool; False where that does not take it all."""
        # All at once: back from the disk, a thread waits 40 ms for the interpreter where eight are busy.
        with self._lock:
            try:
                return not self._closed and self._spill()
            finally:
                self._changed.notify_all()

    def wait(self, timeout: float, is_away: Callable[[], bool]) -> bool:
        """Until everything that is in memory now has left it; False when time is over.

        What went into the spool has to be stored from there, too, unless the storage is away.
        """
        if not self._lock.acquire(timeout=timeout):
            return False
        try:
            goal = self._settled + (self._finishing or 0) + self.waiting
            return self._changed.wait_for(
                lambda: self._settled >= goal and (is_away() or not self._holds_spooled()), timeout
            )
        finally:
            self._lock.release()

    def close(self, timeout: float) -> None:
        """Everything into the spool, and let go of its files; what that does not take is dropped."""
        if not self._lock.acquire(timeout=timeout):
            self._counts.dropped += self.waiting  # the disk hangs, and so may the end of the process
            return
        try:
            while not self._closed and self.waiting and self._spill():
                pass
            self.abandon()
            if self._spool:
                self._spool.close()
            self._counts.dropped += self.waiting
            self._queue.clear()
            self._formed.clear()
            self.hand = None
            self._changed.notify_all()
        finally:
            self._lock.release()

    def abandon(self) -> None:
        """Nothing is taken out or put away any more."""
        self._closed = True

    def _holds_spooled(self) -> bool:
        return self._finishing == 0 or (self._spool is not None and self._spool.waiting > 0)

    def _replayed(self) -> Batch | None:
        found = self._spool.oldest() if self._spool and self.is_replaying else None
        self._in_spool = self.is_replaying = found is not None
        return found

    def _form(self) -> Batch | None:
        if self._spool and self._spool.is_left:  # else these would overtake it, and it be taken for stored
            self._spool.is_left, self._source = False, _new_source()
            self._formed = deque(Batch(batch, self._source, batch.position) for batch in self._formed)
        if self._formed:
            return self._formed.popleft()
        hits = [self._queue.popleft() for _ in range(min(MOST, len(self._queue)))]
        if not hits:
            return None
        self._position += 1
        return Batch(hits, self._source, self._position)

    def _spill(self) -> bool:
        """The batch in hand goes first: its file is empty then, or it came from there."""
        first = [self.hand] if self.hand is not None and not self._in_spool else []
        number = len(self._formed) or GROUP  # what the spool did not take does not become more and more
        while len(self._writing) < number and (batch := self._form()) is not None:
            self._writing.append(batch)
        group = first + self._writing
        if not group or self._append(group):
            appended = len(group)
        else:  # there may be room for some, or one may hold what JSON cannot
            appended = next((n for n, batch in enumerate(group) if not self._append([batch])), len(group))
        self._formed.extendleft(reversed(group[max(appended, len(first)) :]))
        self._writing = []
        if first and appended:
            oldest = self._spool.oldest() if self._spool else None
            self._in_spool = oldest is not None and oldest.key == first[0].key
            self.hand = self.hand if self._in_spool else None  # given up; the oldest is one behind it
        return appended == len(group)

    def _append(self, group: Sequence[Batch]) -> bool:
        """Whether all of them are no longer in memory alone; else they still are, all of them."""
        hits = sum(map(len, group))
        try:
            if self._spool is None or not self._spool.append(*group):
                return False
        except Exception as error:  # the hits carry objects of the host's, of which JSON may know nothing
            if len(group) > 1:
                return False
            self._counts.failed += hits
            self._unwritten.add(hits, error)
        else:
            self._counts.spooled += hits
            self.is_replaying = True
        self._settled += hits
        return True


def _new_source() -> str:
    return f"flask-{secrets.token_hex(8)}"
