"""Status: what there is of each site, how far it is counted, and when memory will be full.

For the forecast, hits a day are those counted in the last 24 hours; a raw hit takes what MEMORY USAGE says
of its stream by the stream's length; counters take what a few of each sort take on average, and grow as those
of the last 7 days have grown, of months those of the last 32 days.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

from redis import Redis

from summaries.bound import Load, site_bound
from summaries.buckets import KINDS, Calendar
from summaries.counters import Counters
from summaries.fold import BOT
from summaries.forecast import Forecast, Part, forecast, soonest
from summaries.growth import DAY, SHORTEST, Growth, RawHits, covered, growth, parts
from summaries.health import on_disk
from summaries.stock import Stock, memory_of, take_stock
from tracker import keys
from tracker.append import server_of
from tracker.canary import Canary, last
from tracker.raw import START, Entry, RawLog, order
from tracker.settings import Settings
from tracker.spooled import Spooled

NODES = 100  # of a stream, that are measured
HOUR = timedelta(hours=1)
NOTHING = Spooled()


@dataclass(frozen=True)
class SiteStatus:
    """One site; times are those of arrival, ages in seconds, memory in bytes."""

    site: str
    hits: int  # in the raw log
    oldest: datetime | None
    newest: datetime | None
    full: float | None  # share of HITWALL_KEEP_RAW_MAX; None where any number is kept
    raw_memory: int
    growth: Growth
    lag: float  # age of the oldest hit that waits to be counted
    behind: dict[str, float]  # summaries that catch up with the others: share that they have
    failed: dict[str, int]  # summary -> hits of today (UTC) that its hook failed on
    counters: int  # keys
    counter_memory: int


@dataclass(frozen=True)
class Status:
    """All sites, the counting process and Redis; memory in bytes."""

    sites: list[SiteStatus]
    counting: bool  # whether a counter is at work
    refused: dict[str, int]  # today, UTC: reason -> hits
    used: int
    limit: int  # 0 where Redis tells none
    maxmemory: bool  # whether the limit is one that was set, else the memory of Redis's machine
    flood: float | None  # what a month of made-up hits takes of one site at most; None: no bound is set
    forecast: Forecast  # of a cluster, that of the node which is full first
    spool: Spooled = NOTHING  # of the doors, on this machine's disk
    spool_most: int = 0  # bytes it may hold
    canary: Canary | None = None  # the last ones


@dataclass(frozen=True)
class Observer:
    """Asks one Redis, at one moment."""

    settings: Settings
    redis: Redis
    names: list[str]  # of the summaries that are counted
    now: datetime

    def status(self) -> Status:
        """All there is to say."""
        calendar = Calendar.of(self.settings)
        stocks = take_stock(self.redis, calendar, self.now)
        memories = memory_of(self.redis)
        sites: list[SiteStatus] = []
        grows: dict[str, list[Part]] = {server: [] for server in memories}
        for site in sorted(RawLog(self.redis).sites()):
            own = {kind: stocks.get((site, kind), Stock()) for kind in KINDS}
            found, its_parts = self._site(site, calendar, own)
            sites.append(found)
            grows[server_of(self.redis, site)] += its_parts
        refused: Any = self.redis.hgetall(keys.refused(self.now.astimezone(UTC)))
        return Status(
            sites=sites,
            counting=bool(self.redis.exists(keys.LEASE)),
            refused={reason.decode(): int(hits) for reason, hits in refused.items()},
            used=sum(memory.used for memory in memories.values()),
            limit=sum(memory.limit for memory in memories.values()),
            maxmemory=all(memory.maxmemory for memory in memories.values()),
            flood=_bound(self.settings, len(self.names)),
            forecast=soonest([forecast(grows[name], m.used, m.limit or inf) for name, m in memories.items()]),
            spool=on_disk(self.settings),
            spool_most=self.settings.spool_bytes,
            canary=last(self.redis),
        )

    def _site(
        self, site: str, calendar: Calendar, stocks: Mapping[str, Stock]
    ) -> tuple[SiteStatus, list[Part]]:
        """It, and what grows of it."""
        log, most = RawLog(self.redis), self.settings.keep_raw_max
        first, final = log.after(site, START, 1), log.before(site, "+", 1)
        cursors = self._cursors(site)
        lead = max(cursors.values(), key=order)
        memory = self.redis.memory_usage(keys.raw(site), NODES) or 0
        born = first[0][1].at if first and first[0][1] and log.whole_since(site) == START else None
        raw = RawHits(
            log.length(site), memory, self._daily(site, calendar, born), self._visitors(site, calendar)
        )
        days = covered(stocks, calendar, self.now, born)
        found = SiteStatus(
            site=site,
            hits=raw.hits,
            oldest=_arrival(first),
            newest=_arrival(final),
            full=raw.hits / most if most else None,
            raw_memory=memory,
            growth=growth(raw, stocks, days),
            lag=self._age(log.after(site, lead, 1)),
            behind={name: _share(first, c, lead) for name, c in cursors.items() if c != lead},
            failed=Counters(self.redis, calendar, self.settings.max_labels).failures(site, self.now),
            counters=sum(stock.counters for stock in stocks.values()),
            counter_memory=round(sum(stock.memory for stock in stocks.values())),
        )
        return found, parts(raw, stocks, days, self.settings)

    def _cursors(self, site: str) -> dict[str, str]:
        found: Any = self.redis.hgetall(keys.cursor(site))
        return {name: found.get(name.encode(), START.encode()).decode() for name in self.names}

    def _age(self, entries: list[Entry]) -> float:
        arrived = _arrival(entries)
        return max(0.0, (self.now - arrived).total_seconds()) if arrived else 0.0

    def _daily(self, site: str, calendar: Calendar, born: datetime | None) -> float:
        """Hits of the last 24 hours; where all there were are younger, what they make in a day."""
        hours = [calendar.bucket("hour", self.now - n * HOUR) for n in range(24)]
        begin = calendar.span(hours[-1])[0]
        span = max(SHORTEST, self.now - max(begin, born or begin))
        return sum(self._hits(site, hour) for hour in dict.fromkeys(hours)) * (DAY / span)

    def _visitors(self, site: str, calendar: Calendar) -> float:
        """Of today or of yesterday, whichever are more: today is not over yet."""
        days = [calendar.bucket("day", at) for at in (self.now, self.now - DAY)]
        return max(self.redis.hlen(keys.counter(site, "hits", "visitor", day)) for day in days)

    def _hits(self, site: str, bucket: str) -> int:
        """Raw hits of a bucket: bots are among them, wherever they count."""
        summaries = ["server"] if self.settings.count_bots else ["server", BOT]
        found: Any = [self.redis.hvals(keys.counter(site, "hits", name, bucket)) for name in summaries]
        return sum(int(hits) for values in found for hits in values)


def _bound(settings: Settings, summaries: int) -> float | None:
    most = site_bound(settings, summaries, Load())
    return None if most == inf else most


def _arrival(entries: list[Entry]) -> datetime | None:
    return datetime.fromtimestamp(order(entries[0][0])[0] / 1000, UTC) if entries else None


def _share(first: list[Entry], cursor: str, lead: str) -> float:
    """How far from the beginning of the log the cursor is on the way to the leading one, by time."""
    begin = order(first[0][0])[0] if first else 0
    way = order(lead)[0] - begin
    return min(1.0, max(0.0, (order(cursor)[0] - begin) / way)) if way > 0 else 0.0
