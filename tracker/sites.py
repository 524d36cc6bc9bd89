"""Which sites may count here, and which are known."""

import time

from redis import Redis

from tracker.hit import BadHit
from tracker.raw import RawLog
from tracker.settings import Settings

FRESH = 1.0  # seconds a list of sites is believed before it is read again


class Sites:
    """The sites of the settings, or with `*` every site seen, up to HITWALL_MAX_SITES."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._named = frozenset(settings.sites)
        self._most = settings.max_sites
        self._raw = RawLog(redis)
        self._seen: set[str] = set()
        self._read = float("-inf")

    def admit(self, site: str) -> None:
        """Raises BadHit where hits of that site are not for us."""
        if self._named:
            if site not in self._named:
                raise BadHit("unknown site", "HITWALL_SITES does not name this site", 403)
        elif site not in self._seen and not self.known(site):
            if len(self._seen) >= self._most:
                raise BadHit("too many sites", "HITWALL_MAX_SITES is reached", 403)
            self._seen.add(site)

    def known(self, site: str) -> bool:
        """Whether there can be numbers of that site."""
        return site in self.all() or self._raw.has(site)  # the list may be older than its first hit

    def all(self) -> set[str]:
        """Every site named in the settings or seen."""
        if time.monotonic() - self._read > FRESH:
            self._seen = self._raw.sites()
            self._read = time.monotonic()
        return self._seen | self._named
