"""Streams: all walls of a process, written to by one greenlet.

A wall costs its socket and some hundred bytes: no greenlet, no request, no copy of a frame.
"""

import time
from _socket import socket
from collections import deque
from collections.abc import Callable

import gevent
from gevent.event import Event

from summaries.feed import Feed
from summaries.metrics import FRAMES
from summaries.turns import Stretches
from summaries.viewer import Viewer

STUCK = 10.0  # seconds a viewer may take for a frame, and the kernel (GONE) to be answered at all
LOOK = 1.0  # seconds between two looks for those who take longer
SHARE = 0.1  # of a core for writing frames, as long as they need not be further apart than SLOWEST
SLOWEST = 0.7  # seconds between two frames; what is left of law 6's second is for writing them
KEPT = 0.75  # of what is known of their cost, after another frame to all


class Streams:
    """Viewers whose connections were handed over. `left` is told what each watched who goes."""

    def __init__(self, left: Callable[[Feed], None]) -> None:
        self._left = left
        self._viewers: dict[Feed, dict[Viewer, None]] = {}  # bound: HITWALL_STREAMS
        self._behind: dict[Viewer, None] = {}  # those who could not take all; who waits longest is first
        self._calling: deque[Viewer] = deque()  # of whom the loop told something; bound: two calls of each
        self._told: dict[Feed, None] = {}  # have another message
        self._work = Event()
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._stretches = Stretches()
        self._call = self._called  # made once, for all
        self._sent = 0  # frames that are not in the metrics yet
        self._spent = self._written = (
            0.0  # seconds of a core for so many frames; what is long ago counts less
        )
        self.open = 0

    def take(self, connection: socket, feed: Feed, chunked: bool) -> None:
        """A connection whose head is sent; it does not block, and is ours from here on."""
        viewer = Viewer(connection, feed, chunked)
        self._viewers.setdefault(feed, {})[viewer] = None
        self.open += 1
        viewer.on_talk(self._call)
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)
        if feed.message or feed.closed:
            self._write(viewer)

    def tell(self, feed: Feed) -> None:
        """The feed has another message."""
        if feed in self._viewers:
            self._told[feed] = None
            self._work.set()

    def apart(self, least: float) -> float:
        """Seconds that two frames have to be apart, `least` or more."""
        return pace(self._spent / max(1.0, self._written) * self.open, least)

    def _called(self, viewer: Viewer) -> None:
        self._calling.append(viewer)
        self._work.set()

    def _run(self) -> None:
        """Until the last has gone. Should it fail, all go, and who connects again starts it."""
        try:
            while self.open:
                self._work.wait(LOOK)
                self._work.clear()
                self._stretches.begin()
                before = self._sent
                self._do()
                self._measure(self._sent - before, self._stretches.end())
        finally:
            self._greenlet = None
            for viewer in [viewer for viewers in self._viewers.values() for viewer in viewers]:
                self._drop(viewer)

    def _do(self) -> None:
        self._attend()
        while self._told:
            feed = next(iter(self._told))  # who waits longest
            del self._told[feed]
            for viewer in list(self._viewers.get(feed, ())):
                if not viewer.since:
                    self._write(viewer)
                self._stretches.pause()
            self._attend()
        while self._behind and time.monotonic() - (viewer := next(iter(self._behind))).since >= STUCK:
            self._drop(viewer)

    def _attend(self) -> None:
        """To those of whom the loop has told something: the end, or room for more."""
        while self._calling:
            viewer = self._calling.popleft()
            if not viewer.closed and viewer.is_gone():
                self._drop(viewer)
            elif viewer.since:
                self._write(viewer)
            self._stretches.pause()

    def _write(self, viewer: Viewer) -> None:
        """What it lacks; who cannot take all of it is called when it can."""
        if viewer.closed:
            return
        before, closed = viewer.seen, viewer.feed.closed  # a signal may close it while we write
        try:
            whole = viewer.write()
        except OSError:
            self._drop(viewer)
            return
        self._sent += viewer.seen is not before
        if not whole:
            self._wait(viewer, viewer.seen is not before)
        elif closed:
            self._drop(viewer)
        elif viewer.since:
            del self._behind[viewer]
            viewer.since = 0.0

    def _wait(self, viewer: Viewer, anew: bool) -> None:
        """`anew`: it has begun another message, and its time with it."""
        if anew or not viewer.since:
            self._behind.pop(viewer, None)
            self._behind[viewer] = None
            viewer.since = time.monotonic()
        viewer.on_room(self._call)

    def _drop(self, viewer: Viewer) -> None:
        viewer.close()
        self._behind.pop(viewer, None)
        viewers = self._viewers[viewer.feed]
        del viewers[viewer]
        if not viewers:
            del self._viewers[viewer.feed]
        self.open -= 1
        self._left(viewer.feed)

    def _measure(self, sent: int, spent: float) -> None:
        """A round of so many frames. Of few most is the round's own time, which tells little of many."""
        if sent:
            kept = KEPT ** (sent / max(1, self.open))
            self._spent = kept * self._spent + spent
            self._written = kept * self._written + sent
        FRAMES.inc(self._sent)
        self._sent = 0

    def join(self, end: float) -> None:
        """Return when the last has gone, or at that time (monotonic)."""
        while self.open and time.monotonic() < end:
            gevent.sleep(0.01)


def pace(cost: float, least: float) -> float:
    """Seconds between two frames that take so many seconds to write: they cost SHARE, if law 6 lets them."""
    return min(SLOWEST, max(least, cost / SHARE))
