"""Replayer: hands over to Redis what waits on disk, once and in order, ours and what gone processes left."""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby

import gevent
from redis import RedisError

from tracker import metrics
from tracker.group_commit import KEPT, GroupCommit
from tracker.outage import ALONE, NOWHERE
from tracker.raw import RawLog
from tracker.seldom import Seldom
from tracker.storage import Batch

log = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds that the client of a replayer waits: a slow Redis makes progress, too
QUICK = 0.2  # seconds; an append that took longer is no sign that the doors may use Redis again
MOST = 1000  # hits handed over at once, some 5 ms in which Redis serves nobody else
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds between two rounds in vain
SHARE = 9  # parts of the time left to others by rounds that only read on and on in what cannot go
MOST_LEFT = 30.0  # seconds, at most, that they leave
ADOPT = 60.0  # seconds between two looks for what processes that are gone have left


class Replayer:
    """The replayer of one process; `raw` is by a client of its own that waits PATIENCE seconds."""

    def __init__(self, raw: RawLog, commit: GroupCommit) -> None:
        self._raw = raw
        self._commit = commit
        self._spool = commit.spool
        self._adopts = 0.0  # when to look for what is left, monotonic
        self._is_whole = True  # whether nothing was put off in this round
        self._stored = 0  # hits that Redis has taken in this round, or had
        self._read = 0.0  # seconds of work that reading took in this round
        self._out: set[str] = set()  # servers and sites that have taken nothing in this round
        self._failed = Seldom(log, logging.WARNING, "what waits on disk cannot go yet (tries: %d): %s")

    def start(self) -> None:
        """From now on, until the process ends; it may end at any moment."""
        gevent.spawn(self._run)

    def stop(self) -> None:
        """The process is told to end: nobody waits for a second try any more."""
        self._commit.is_stopping = True

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._commit.is_stopping:
            is_over = self._round()
            pause = FIRST_PAUSE if is_over or self._stored else min(LONGEST_PAUSE, 2 * pause)
            busy = 0.0 if self._stored else min(MOST_LEFT, SHARE * self._read)
            if is_over:
                self._commit.spooled.wait(max(0.0, self._adopts - time.monotonic()))
            elif self._is_whole:  # all went, and the doors still rest: what they put aside goes at once
                self._commit.spooled.wait(pause)
            else:
                gevent.sleep(max(pause, busy))

    def _round(self) -> bool:
        try:
            return self.round()
        # A MemoryError may come from anywhere, and without a replayer hits wait until the process ends.
        except Exception as error:
            self._failed.add(1, repr(error))
            self._is_whole = False
            return False

    def round(self) -> bool:
        """Hand over what goes, each batch tried once; whether nothing is left and nothing is out."""
        self._commit.spooled.clear()
        self._is_whole, self._stored, self._read, self._out = True, 0, 0.0, set()
        with self._commit.lock:
            if time.monotonic() >= self._adopts:
                self._adopts = time.monotonic() + ADOPT
                self._spool.adopt()
            self._spool.again()
        while batches := self._several():
            went = self._hand_over(batches)
            with self._commit.lock:
                self._spool.settle(went)
            gevent.sleep(0)  # where all is put off, nothing else gives others their turn
            if not all(went):
                self._is_whole = False
                if self._is_alone():
                    break
        if not self._is_whole:
            self._adopts = 0.0  # what was left and did not go has to be taken up anew
        else:
            self._look()
        return self._is_whole and not self._commit.outages.sites()

    def _several(self) -> list[Batch]:
        with self._commit.lock:
            begun = time.thread_time()  # here alone: while we wait for Redis the thread is the doors'
            batches = self._spool.several(MOST)
            self._read += time.thread_time() - begun
        return batches

    def _hand_over(self, batches: Sequence[Batch]) -> list[bool]:
        """Of each whether Redis has it for certain. What did not go holds up all that may not overtake it."""
        went = [False] * len(batches)
        places = sorted(range(len(batches)), key=lambda place: _whose(batches[place]))
        for (site, source), group in groupby(places, key=lambda place: _whose(batches[place])):
            ours = list(group)
            if self._went(site, source, [batches[place] for place in ours]):
                for place in ours:
                    went[place] = True
        return went

    def _went(self, site: str, source: str, batches: Sequence[Batch]) -> bool:
        if site in self._out or self._commit.outages.name(site) in self._out:
            self._out.add(site)  # for this round: what has been put off must not be overtaken
            return False
        begun = time.monotonic()
        try:
            self._raw.append_all(site, [(batch.position, batch) for batch in batches], source, KEPT)
        except RedisError as error:
            self._out |= {site, self._commit.outages.name(site, error)}
            self._failed.add(1, error)
            return False
        self._took(site, time.monotonic() - begun)
        hits = sum(map(len, batches))
        self._stored += hits
        metrics.REPLAYED.inc(hits)
        return True

    def _took(self, site: str, seconds: float) -> None:
        if seconds < QUICK:
            self._commit.outages.end(site)

    def _is_alone(self) -> bool:
        """Whether there is no other server that might take something."""
        return not self._out.isdisjoint((ALONE, NOWHERE))

    def _look(self) -> None:
        """Nothing waits: ask Redis whether it is back, or nobody would ever know."""
        for site in self._commit.outages.sites():
            begun = time.monotonic()
            with suppress(RedisError):
                self._raw.position(site, "replayer")
                self._took(site, time.monotonic() - begun)


def _whose(batch: Batch) -> tuple[str, str]:
    return batch[0].site, batch.source
