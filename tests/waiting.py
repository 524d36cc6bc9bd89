"""Waiting for what another process does: nothing can be awaited there, so it is asked again and again."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL = 0.01  # seconds


def until(ask: Callable[[], T], seconds: float = 20.0) -> T:
    """The first true answer; AssertionError with the last one when time is up."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"still {answer!r} after {seconds} s"
        time.sleep(POLL)
    return answer
