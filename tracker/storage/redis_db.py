"""RedisStorage: hits go to the raw log of their site, and Hitwall counts them from there."""

import heapq
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from msgspec import structs
from redis import Redis, RedisError, ResponseError

from tracker.foreign import BROKEN
from tracker.headers import asks_not, environ_name
from tracker.hit import BadHit, Hit, site_name
from tracker.raw import AHEAD, START, Entry, milliseconds, order
from tracker.refused import count_refused
from tracker.seldom import Seldom
from tracker.settings import Settings
from tracker.storage import Away, Batch, Hook, Storage, Unstorable
from tracker.storage.reached import Reached, address, answers, checked, location

log = logging.getLogger(__name__)

CHUNK = 250  # hits of one append, some 0.6 ms in which Redis serves nobody else; and of one reading
LEAST = 20  # hits of one reading of a site, however many sites there are
CHUNKS = 1000  # of one batch and site; a chunk's position is the batch's times so many, and its place
KEPT = 7 * 86_400  # seconds a batch's position is remembered: a batch may wait in a spool


class RedisStorage(Storage):
    """Puts hits into Hitwall's raw log, each once; the summaries follow by themselves.

    The Redis is that of `url`, else of `host`, `port` and `password`, else the one that the settings
    name, which may start later; without settings TrackUsage gives those of the application. `site`
    bounds what get_usage and get_sum tell; empty: all sites.
    """

    hashes_addresses = True  # where HITWALL_IP is hash: it has the salt of the day

    def __init__(
        self,
        host: str = "",
        port: int = 0,
        password: str | None = None,
        *,
        url: str = "",
        hooks: Sequence[Hook] = (),
        settings: Settings | None = None,
        site: str = "",
    ) -> None:
        super().__init__(hooks)
        self._settings = settings
        self.site = site and site_name(site)
        self._url = checked(url) or address(host, port, password)
        self._reached: Reached | None = None
        self._refused = Seldom(log, logging.WARNING, "%d hits were refused, the last of %s: %s")

    def store(self, hits: Batch) -> None:
        """Hits of sites that may not count here are left out and counted as refused.

        Raises Away, after which the same batch stores what is not stored yet, and Unstorable for the
        hits of a site whose keys are broken, when all others are stored.
        """
        if len(hits) > CHUNK * CHUNKS:
            raise ValueError(f"a batch holds at most {CHUNK * CHUNKS} hits")
        with answers():
            there = self._reach()
            refused: Counter[str] = Counter()
            broken: dict[str, str] = {}
            for site, places in _by_site(hits).items():
                try:
                    there.sites.admit(site)
                    self._append(there, hits, site, places)
                except BadHit as bad:
                    refused[bad.reason] += len(places)
                    self._refused.add(len(places), site, bad)
                except ResponseError as error:
                    if not BROKEN.search(str(error)):
                        raise
                    broken[site] = str(error)
        with suppress(RedisError):  # no reason to have the batch again
            count_refused(there.redis, refused, datetime.now(UTC))
        if broken:
            raise _unstorable(hits, broken)

    def hits(self, start: datetime | None, end: datetime | None) -> Iterator[Hit]:
        """Those that Flask applications sent, in the order in which they arrived, the newest first."""
        earliest = START if start is None else f"{max(0, milliseconds(start - AHEAD))}-0"
        with answers():
            raw, sites = self._reach().raw, self.sites()
            piece = max(LEAST, CHUNK // max(1, len(sites)))
            logs = [raw.newest(site, earliest, piece) for site in sites]
            for _, hit in heapq.merge(*logs, key=_place, reverse=True):
                if hit and hit.source == "flask" and _holds(start, end, hit.at):
                    yield hit

    def get_sum(self, *args: Any, **kwargs: Any) -> dict[str, list[dict[str, Any]]]:
        """As of every storage; from the counters, which Hitwall keeps of every summary."""
        with answers():
            return super().get_sum(*args, **kwargs)

    def _renew(self) -> None:
        self._reached = None

    @property
    def name(self) -> str:
        """One for each Redis: what waits in a spool for one must not go into another."""
        url = self._url or self.settings.redis_url
        what = location(url) if url else str(self.settings.data.absolute())
        return f"redisstorage-{blake2b(what.encode(), digest_size=4).hexdigest()}"

    @property
    def redis(self) -> Redis:
        """A client of the Redis; it connects on first use. Raises Away where none is known."""
        return self._reach().redis

    def sites(self) -> list[str]:
        """The sites that get_usage and get_sum tell of. Raises Away."""
        with answers():
            return [self.site] if self.site else sorted(self._reach().raw.sites())

    def _reach(self) -> Reached:
        """Made at first use, in the process that uses it, and anew where the address is another now."""
        try:
            url = self._url or self.settings.running_redis()
            if self._reached is None or self._reached.url != url:
                self._reached = Reached.at(url, self.settings)
        except (OSError, ValueError) as none:  # BadSetting, or the embedded Redis is just writing where it is
            raise Away(str(none)) from None
        return self._reached

    def _append(self, there: Reached, batch: Batch, site: str, places: Sequence[int]) -> None:
        """In chunks, each with a position of its own: what is stored already is passed over."""
        for number, first in enumerate(range(0, len(places), CHUNK)):
            hits = [_kept(batch[place], there) for place in places[first : first + CHUNK]]
            there.raw.append(site, hits, batch.source, batch.position * CHUNKS + number, KEPT)


def _by_site(hits: Sequence[Hit]) -> dict[str, list[int]]:
    """Site -> places of its hits."""
    found: dict[str, list[int]] = {}
    for place, hit in enumerate(hits):
        found.setdefault(hit.site, []).append(place)
    return found


def _kept(hit: Hit, there: Reached) -> Hit:
    """With a hash for its visitor, and one for its address, where the settings want them."""
    if not hit.remote:
        return hit
    private = asks_not({environ_name(name): value for name, value in hit.headers.items()})
    if there.visitors.mode == "hash" and not (hit.visitor or private):
        hit = structs.replace(hit, visitor=there.visitors.hashed(hit))
    return there.addresses.kept(hit, private)


def _unstorable(hits: Batch, broken: dict[str, str]) -> Unstorable:
    places = frozenset(place for place, hit in enumerate(hits) if hit.site in broken)
    said = "; ".join(f"{site}: {error}" for site, error in broken.items())
    return Unstorable(f"The raw log cannot take hits of {said}", places)


def _place(entry: Entry) -> tuple[int, int]:
    return order(entry[0])


def _holds(start: datetime | None, end: datetime | None, at: datetime) -> bool:
    return (start is None or at >= start) and (end is None or at <= end)
