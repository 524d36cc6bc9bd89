"""Turns: long work lets the other greenlets of its process, doors and streams, have theirs."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import gevent

CHUNK = 5_000  # values dealt with at a stretch, some 5 ms
STRETCH = 0.0002  # seconds of work that comes again and again, after which others have their turn
SHORTEST = 1e-6  # seconds; after a sleep of 0 gevent looks at sockets and timers only every 50th time

T = TypeVar("T")


def rest() -> None:
    """Everybody who can go on does so."""
    gevent.sleep(SHORTEST)


def paused(values: Iterable[T], size: int = CHUNK) -> Iterator[T]:
    """The same values; others have their turn after every `size` of them."""
    for place, value in enumerate(values, 1):
        if place % size == 0:
            rest()
        yield value


class Stretches:
    """Work in stretches of STRETCH, and what it costs without the others' turns."""

    def __init__(self) -> None:
        self._end = 0.0
        self._begun = 0.0
        self._spent = 0.0

    def begin(self) -> None:
        self._end = time.monotonic() + STRETCH
        self._begun = time.thread_time()

    def pause(self) -> None:
        """Between two pieces of the work: the others' turn, where it is due."""
        if time.monotonic() >= self._end:
            self._spent += time.thread_time() - self._begun
            rest()
            self.begin()

    def end(self) -> float:
        """Seconds of CPU time since the last end."""
        spent, self._spent = self._spent + time.thread_time() - self._begun, 0.0
        return spent
