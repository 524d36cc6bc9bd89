"""Rate: how many hits an address may send to the doors of one process in a time, as HITWALL_RATE says."""

import math
import time
from collections.abc import Callable
from socket import AF_INET6, inet_pton

from limits import parse

from tracker import remote
from tracker.headers import Environ
from tracker.hit import BadHit
from tracker.settings import Settings

MOST = 100_000  # addresses remembered of a window, some 20 MB
HOUSEHOLD = 8  # bytes of an IPv6 address that one subscriber does not choose; the others he has all


class TooFast(BadHit):
    """An address sends more than it may; `after` so many seconds it may send again."""

    def __init__(self, rate: str, after: int) -> None:
        super().__init__("too fast", f"an address may send {rate}", 429)
        self.after = after


class Window:
    """What each address has sent in the present window of so many seconds, which is the same for all.

    The storage of limits itself has no bound, and looks through all its addresses a hundred times a second.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._sent: dict[str, int] = {}
        self._end = 0.0  # by the clock

    def add(self, address: str) -> int:
        """The number with this one. With MOST addresses all begin anew: who has so many has any number."""
        now = self._clock()
        if now >= self._end:
            self._sent.clear()
            self._end = now + self._seconds
        if len(self._sent) >= MOST and address not in self._sent:
            self._sent.clear()
        number = self._sent[address] = self._sent.get(address, 0) + 1
        return number

    def left(self) -> float:
        """Seconds of the window that are still to come."""
        return max(0.0, self._end - self._clock())


class Rate:
    """Counts the requests of each address, refused ones and those that fail among them."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """`settings.rate` is not empty."""
        self._said = settings.rate
        self._hops = settings.trusted_proxies
        allowed = parse(settings.rate)
        self._most = allowed.amount
        self._window = Window(allowed.get_expiry(), clock)

    def check(self, environ: Environ) -> None:
        """Count one request. Raises TooFast."""
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        address = remote.client(environ.get("REMOTE_ADDR", ""), forwarded, self._hops)
        if self._window.add(_household(address)) > self._most:
            raise TooFast(self._said, max(1, math.ceil(self._window.left())))


def _household(address: str) -> str:
    """What one visitor cannot change at will: an IPv4 address, the first half of an IPv6 one."""
    return inet_pton(AF_INET6, address)[:HOUSEHOLD].hex() if ":" in address else address
