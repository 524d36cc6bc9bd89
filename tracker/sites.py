"""Which sites may count here, and which are known."""

import time
from contextlib import suppress
from threading import Lock

from redis import Redis, RedisError, TimeoutError

from tracker.canary import recognise
from tracker.connection import TIMEOUT
from tracker.hit import CANARY, BadHit, Hit
from tracker.raw import RawLog
from tracker.settings import Settings

FRESH = 1.0  # seconds a list of sites is believed before it is read again


class Sites:
    """The sites of the settings, or with `*` every site seen, up to HITWALL_MAX_SITES."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._named = frozenset(settings.sites)
        self._most = settings.max_sites
        self._redis = redis
        self._raw = RawLog(redis)
        self._seen: set[str] = set()
        self._read = float("-inf")
        self._is_away = False  # whether the list could not be read the last time
        self._asking = Lock()

    def admit(self, site: str) -> None:
        """Raises BadHit where hits of that site are not for us."""
        if site == CANARY:
            raise BadHit("reserved site", f"{CANARY} counts for nobody", 403)
        if self._named:
            if site not in self._named:
                raise BadHit("unknown site", "HITWALL_SITES does not name this site", 403)
        elif site not in self._seen:
            self._take(site)

    def admitted(self, hit: Hit) -> Hit:
        """The hit, or the canary that it is. Raises BadHit, and RedisError where it may be one."""
        if hit.site == CANARY:
            return recognise(self._redis, hit)
        self.admit(hit.site)
        return hit

    def known(self, site: str) -> bool:
        """Whether there can be numbers of that site. Raises RedisError.

        One asks at a time: after a restart all walls come at once, and each would take a connection to Redis.
        """
        if site in self.all():
            return True
        if not self._asking.acquire(timeout=TIMEOUT):
            raise TimeoutError("too many ask at once")
        try:
            return site in self.all() or self._raw.has(site)  # the list may be older than its first hit
        finally:
            self._asking.release()

    def all(self) -> set[str]:
        """Every site named in the settings or seen. Raises RedisError; then the list is as it was."""
        if time.monotonic() - self._read > FRESH:
            self._read = time.monotonic()  # whoever comes meanwhile does not wait, too
            self._is_away = True
            self._seen = self._raw.sites()
            self._is_away = False
        return self._seen | self._named

    def _take(self, site: str) -> None:
        """While Redis is away a site may be new: it passes within the bound, or a known one would not."""
        with suppress(RedisError):
            self.all()
        if site not in self._seen and len(self._seen) >= self._most and not self._is_there(site):
            raise BadHit("too many sites", "HITWALL_MAX_SITES is reached", 403)
        self._seen.add(site)

    def _is_there(self, site: str) -> bool:
        """Whether Redis knows it, as far as Redis can be asked just now."""
        try:
            return not self._is_away and self._raw.has(site)
        except RedisError:
            return False
