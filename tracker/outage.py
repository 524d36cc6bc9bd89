"""Outages: what takes no hits just now, so that nobody waits for it. A hint: a batch is safe without it."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from redis import RedisError, ResponseError

from tracker.seldom import Seldom, say

log = logging.getLogger(__name__)

SOON = 10.0  # seconds; who is out again within them rests, twice as long each time, up to
ALONE = "server "  # where there is but one
NOWHERE = "server unknown"  # a cluster that does not answer
LONGEST_REST = 30.0  # seconds: each return begins a source, whose position Redis remembers for days


@dataclass
class Outage:
    site: str  # one that is concerned
    rest: float  # seconds it lasts at least
    until: float  # monotonic


class Outages:
    """Of servers that do not answer, and of sites whose hits they do not take; both have their bounds."""

    def __init__(self, server: Callable[[str], str]) -> None:
        """`server` names that of a site, or raises RedisError."""
        self._server = server
        self._out: dict[str, Outage] = {}
        self._rest = 0.0
        self._ended = float("-inf")  # when the last one was over, monotonic
        self._is_told = False
        self._begun = Seldom(log, logging.ERROR, "Redis takes no hits, they wait on disk (tries: %d): %s")

    def holds(self, site: str) -> bool:
        """Whether the site's hits are not worth a try."""
        return bool(self._out) and (site in self._out or self.name(site) in self._out)

    def name(self, site: str, error: Exception | None = None) -> str:
        """What the error is about: the site, where there was an answer; else its server, with a blank."""
        if isinstance(error, ResponseError):  # it may be about all sites; the next ones will tell at once
            return site
        with suppress(RedisError):
            return ALONE + self._server(site)
        return NOWHERE

    def begin(self, site: str, error: Exception) -> None:
        """Redis has not taken the site's hits."""
        now = time.monotonic()
        if not self._out:
            is_soon = now - self._ended < SOON
            self._rest = min(LONGEST_REST, max(0.5, 2 * self._rest)) if is_soon else 0.0
        self._out.setdefault(self.name(site, error), Outage(site, self._rest, now + self._rest))
        self._is_told |= self._begun.add(1, error)

    def end(self, site: str) -> None:
        """Redis has taken hits of the site, and quickly."""
        for name in (site, self.name(site), NOWHERE):
            outage = self._out.get(name)
            if outage and time.monotonic() >= outage.until:
                del self._out[name]
                self._ended = time.monotonic()
        if self._is_told and not self._out:
            say(log, logging.WARNING, "Redis takes hits again")
            self._is_told = False

    def sites(self) -> list[str]:
        """One site of each outage."""
        return [outage.site for outage in self._out.values()]
