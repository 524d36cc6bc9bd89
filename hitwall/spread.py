"""Spread: each worker knows how many connections the others have, and leaves new ones to who has fewer.

A new connection wakes all workers, and who is awake already is there first: of 64 that came within some
milliseconds, one of two workers got all.
"""

import mmap
from collections.abc import Callable
from typing import Any

from gunicorn.workers.ggevent import PyWSGIServer

SLACK = 2  # connections that a worker may be ahead of another
MOMENT = 0.002  # seconds in which the others can take a connection
UNASKED = 16  # connections that are taken then, one after the other, should the others hang
NONE = 2**32 - 1  # stands for a worker that is not there,
ASIDE = NONE - 1  # and for one that takes no connection, not yet or no more


class Spread:
    """Connections of each worker, in memory that all share. Made by the process that starts the workers."""

    def __init__(self, workers: int) -> None:
        self._places = 2 * workers  # when all are replaced, old ones end while new ones start
        self._counts = memoryview(mmap.mmap(-1, 4 * self._places)).cast("I")
        for place in range(self._places):
            self._counts[place] = NONE

    def enter(self, worker: Any) -> None:
        """A worker is about to be started, and has a place from now on, where there is one left."""
        places = (place for place in range(self._places) if self._counts[place] == NONE)
        worker.place = next(places, None)
        self.tell(worker.place, ASIDE)

    def leave(self, worker: Any) -> None:
        """A worker has ended, whatever has ended it."""
        self.tell(worker.place, NONE)

    def tell(self, place: int | None, connections: int) -> None:
        """How many the worker at that place has now."""
        if place is not None:
            self._counts[place] = connections

    def is_ahead(self, connections: int) -> bool:
        """Whether somebody has so many fewer that a new connection should be his."""
        return connections > SLACK + min(self._counts)


class FairServer(PyWSGIServer):  # type: ignore[misc]
    """Of several that share a listener: leaves a connection to others who have fewer, for a moment."""

    spread: Spread | None = None  # of all workers, where there are several
    place: int | None = None  # of this one
    streams: Callable[[], int] = lambda: 0  # connections that are no longer the server's
    _unasked = 0  # connections that it may still take, whatever the others have

    def start_accepting(self) -> None:
        super().start_accepting()
        self._tell()

    def _tell(self) -> int:
        mine = len(self.pool) + type(self).streams()
        if self.spread is not None:
            self.spread.tell(self.place, mine)
        return mine

    def _do_read(self) -> None:
        """What the loop calls when somebody connects."""
        if self.spread is None:
            super()._do_read()
            return
        before, mine = len(self.pool), self._tell()
        if not self._unasked and self.spread.is_ahead(mine):
            self._unasked = UNASKED
            self.stop_accepting()
            self._timer = self.loop.timer(MOMENT)
            self._timer.start(self._start_accepting_if_started)
            return
        super()._do_read()
        self._unasked = max(0, self._unasked - 1) if len(self.pool) > before else 0

    def close(self) -> None:
        if self.spread is not None:
            self.spread.tell(self.place, ASIDE)
        super().close()
