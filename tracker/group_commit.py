"""GroupCommit: requests that arrive while one append is under way go together in the next.

What Redis does not take in time waits on the disk, with the source and the position under which it was
tried: a replayer hands it over later, and Redis knows what it has already. A source whose batches wait there
appends nothing by itself any more, or what waits would be taken for stored; a new source goes on.
"""

import secrets
import time
from collections.abc import Callable, Sequence

import gevent
from gevent.event import AsyncResult, Event
from gevent.lock import BoundedSemaphore
from redis import ConnectionError, RedisError

from tracker import metrics
from tracker.append import TooFewReplicas
from tracker.hit import CANARY, Hit
from tracker.moment import Moment, Told
from tracker.outage import Outages
from tracker.raw import RawLog
from tracker.spool import Spool
from tracker.storage import Batch

TIMEOUT = 0.5  # seconds that the doors' own client waits for Redis; what takes longer goes to the disk
DEADLINE = 1.0  # seconds a batch is tried for; a restart of Redis takes 0.3, a browser is waiting
PAUSE = 0.05  # seconds between two tries
KEPT = 7 * 86_400  # seconds a batch's position is remembered: so long it may wait on disk and be there once
MOST_WAITING = 10_000  # hits that may wait for one append; further ones are turned away
TURNS = 4  # of the loop after an append: whoever was answered asks again, and goes along with the next
GATHERING = 0.005  # seconds after which no further turn begins, should others have much to do in one
MOST_TOGETHER = 1000  # hits of one append, some 5 ms in which Redis serves nobody else
RETRIED = (ConnectionError, TooFewReplicas)  # what may be over in a moment; a hung Redis holds nobody twice


class NotStored(Exception):
    """The hit is neither in the raw log nor on the disk, as far as is known; the message says why."""


class GroupCommit:
    """Appends hits for many greenlets of one process; `spool` has those that Redis did not take."""

    def __init__(self, raw: RawLog, spool: Spool) -> None:
        self.spool = spool
        self.lock = BoundedSemaphore(1)  # of the spool, which serves one at a time
        self.spooled = Event()  # there is something to be handed over
        self.outages = Outages(raw.server)
        self.is_stopping = False  # there is no time for a second try
        self._is_failing = False  # whether neither Redis nor the disk takes hits
        self._raw = raw
        self._source = _new_source()
        self._position = 0
        self._in_spool: set[str] = set()  # sites of which this source has batches there; bounded as they are
        self._next = Moment()
        self._wake = Event()
        self._writer: gevent.Greenlet[[], None] | None = None

    def append(self, hit: Hit) -> None:
        """Returns when Redis or the disk has the hit; raises NotStored where neither does in time."""
        stored: AsyncResult[bool] = AsyncResult()
        self.add(hit, stored.set)
        if not stored.get():
            raise NotStored("the store is out of reach")

    def add(self, hit: Hit, told: Told) -> None:
        """The same without waiting: another greenlet calls `told`. Raises NotStored where too many wait."""
        if self._next.size >= MOST_WAITING:
            raise NotStored("too many hits are waiting")
        self._next.add(hit, told)
        self._wake.set()
        if self._writer is None:
            self._begin_to_write()

    def _begin_to_write(self, _: object = None) -> None:
        """Start the writer; one that has ended, whatever has ended it, is followed by another at once."""
        self._writer = gevent.spawn(self._write)
        self._writer.link(self._begin_to_write)

    def _write(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            moment, self._next = self._next, Moment()
            try:
                self._keep(moment)
            finally:
                moment.tell()
            self._gather(time.monotonic() + GATHERING)

    def _gather(self, end: float) -> None:
        """An append costs as much as ten hits: a fuller one is worth a moment, up to `end` (monotonic)."""
        for _ in range(TURNS):
            gevent.sleep(0)
            if time.monotonic() >= end:
                break

    def _keep(self, moment: Moment) -> None:
        metrics.BATCH.observe(moment.size)
        batches = self._formed(moment)
        left = self._send(batches, time.monotonic)
        is_kept = not left or self._put_aside(left)
        metrics.count_hits("pixel", "stored", _hits(batches) - _hits(left))
        metrics.count_hits("pixel", "spooled", _hits(left) if is_kept else 0)
        if is_kept == self._is_failing:
            self._is_failing = not is_kept
            metrics.FAILING.set(self._is_failing)
        moment.lost = set() if is_kept else {batch[0].site for batch in left}

    def _formed(self, moment: Moment) -> list[Batch]:
        """One batch for each site, or several where it has many hits."""
        direct = {site for site in moment.hits if not self.outages.holds(site)}
        if self.spool.is_left or not direct.isdisjoint(self._in_spool):
            self._source, self._position, self._in_spool = _new_source(), 0, set()
            self.spool.is_left = False
        return [
            self._batch(hits[first : first + MOST_TOGETHER])
            for hits in moment.hits.values()
            for first in range(0, len(hits), MOST_TOGETHER)
        ]

    def _batch(self, hits: Sequence[Hit]) -> Batch:
        self._position += 1
        return Batch(hits, self._source, self._position)

    def _send(self, batches: Sequence[Batch], clock: Callable[[], float]) -> list[Batch]:
        """Those that Redis may not have. Tried again under the same position, none can double."""
        left: list[Batch] = []
        begun = clock()
        stored = self._send_together(batches)
        for batch in batches:
            site = batch[0].site
            if batch.position in stored:
                continue
            if self._waits(site):
                left.append(batch)
            elif (error := self._store(batch, begun + DEADLINE, clock)) is not None:
                self.outages.begin(site, error)
                self._in_spool.add(site)
                left.append(batch)
        if len(left) < len(batches):
            metrics.APPEND.observe(clock() - begun)
        return left

    def _send_together(self, batches: Sequence[Batch]) -> set[int]:
        """Positions of those that Redis has taken in one exchange, of each site the first at most.

        Where there are many sites that takes a part of the time. What is left is tried one by one.
        """
        first = {batch[0].site: batch for batch in reversed(batches) if not self._waits(batch[0].site)}
        if len(first) < 2:
            return set()
        calls = [(site, batch, batch.source, batch.position) for site, batch in first.items()]
        try:
            taken = self._raw.append_each(calls, KEPT)
        except RETRIED:
            return set()
        except RedisError as error:  # a hung Redis holds nobody twice
            self.outages.begin(calls[0][0], error)
            return set()
        return {batch.position for batch, is_there in zip(first.values(), taken, strict=True) if is_there}

    def _waits(self, site: str) -> bool:
        """Whether its hits go to the disk without a try."""
        return site in self._in_spool or self.outages.holds(site)

    def _store(self, batch: Batch, end: float, clock: Callable[[], float]) -> Exception | None:
        """None once Redis has it."""
        if clock() >= end:
            return TimeoutError("Redis is slow")
        while True:
            try:
                self._raw.append(batch[0].site, batch, batch.source, batch.position, KEPT)
                return None
            except RETRIED as error:
                if clock() >= end or self.is_stopping:
                    return error
            except RedisError as error:
                return error
            gevent.sleep(PAUSE)

    def _put_aside(self, batches: Sequence[Batch]) -> bool:
        """Whether they are on the disk."""
        with self.lock:
            if self.spool.is_left:  # it lost a file of this source just now: these must not overtake that
                return False
            self._in_spool.update(batch[0].site for batch in batches)
            is_kept = self.spool.append(*batches)
        self.spooled.set()
        gevent.sleep(0)  # else the replayer, which waits for the lock, would never get it under load
        return is_kept


def _hits(batches: Sequence[Batch]) -> int:
    """Visitors' hits; a canary is none."""
    return sum(len(batch) for batch in batches if batch[0].site != CANARY)


def _new_source() -> str:
    return f"web-{secrets.token_hex(8)}"
