"""Rate: how many hits an address may send to the doors of one process in a time, as HITWALL_RATE says."""

import math
import time
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address

from limits import parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from tracker import remote
from tracker.headers import Environ
from tracker.hit import BadHit
from tracker.settings import Settings

MOST = 100_000  # addresses remembered of a window, some 20 MB
HOUSEHOLD = 64  # bits of an IPv6 address that one subscriber does not choose; the others he has all


class TooFast(BadHit):
    """An address sends more than it may; `after` so many seconds it may send again."""

    def __init__(self, rate: str, after: int) -> None:
        super().__init__("too fast", f"an address may send {rate}", 429)
        self.after = after


class Window(Storage):
    """What each address has sent in the present window, which is the same for all.

    The storage of limits itself has no bound, and looks through all its addresses a hundred times a second.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._sent: Counter[str] = Counter()
        self._end = 0.0  # by the clock

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """The number with this one. With MOST addresses all begin anew: who has so many has any number."""
        now = self._clock()
        if now >= self._end:
            self._sent.clear()
            self._end = now + expiry
        if len(self._sent) >= MOST and key not in self._sent:
            self._sent.clear()
        self._sent[key] += amount
        return self._sent[key]

    def get(self, key: str) -> int:
        return self._sent[key] if self._clock() < self._end else 0

    def left(self) -> float:
        """Seconds of the window that are still to come."""
        return max(0.0, self._end - self._clock())

    def get_expiry(self, key: str) -> float:
        return time.time() + self.left()

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        known = len(self._sent)
        self._sent.clear()
        return known

    def clear(self, key: str) -> None:
        self._sent.pop(key, None)


class Rate:
    """Counts the requests of each address, refused ones and those that fail among them."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """`settings.rate` is not empty."""
        self._said = settings.rate
        self._hops = settings.trusted_proxies
        self._allowed = parse(settings.rate)
        self._window = Window(clock)
        self._limiter = FixedWindowRateLimiter(self._window)

    def check(self, environ: Environ) -> None:
        """Count one request. Raises TooFast."""
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        address = remote.client(environ.get("REMOTE_ADDR", ""), forwarded, self._hops)
        if not self._limiter.hit(self._allowed, _household(address)):
            raise TooFast(self._said, max(1, math.ceil(self._window.left())))


def _household(address: str) -> str:
    """What one visitor cannot change at will: an IPv4 address, the first half of an IPv6 one."""
    return hex(int(IPv6Address(address)) >> (128 - HOUSEHOLD)) if ":" in address else address
