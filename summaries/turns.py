"""Turns: long work lets the other greenlets of its process, doors and streams, have theirs."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import gevent

CHUNK = 5_000  # values dealt with at a stretch, some 5 ms
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
