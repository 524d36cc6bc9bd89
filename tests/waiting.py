"""Waiting for what another process does: nothing can be awaited there, so it is asked again and again."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Where cores are few, who asks takes from who is asked: so the longer it takes, the less often.
POLL = 0.01  # seconds between the first questions, later a
PART = 0.05  # of the time that has passed, but never more than
SELDOM = 0.1  # seconds


def until(ask: Callable[[], T], seconds: float = 20.0) -> T:
    """The first true answer; AssertionError with the last one when time is up."""
    begun = time.monotonic()
    while not (answer := ask()):
        passed = time.monotonic() - begun
        assert passed < seconds, f"still {answer!r} after {seconds} s"
        time.sleep(min(SELDOM, max(POLL, passed * PART)))
    return answer
