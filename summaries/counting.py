"""Counting: `step` counts one batch of one site, `run` goes on for ever."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event

from redis import Redis, RedisError

from summaries.buckets import Calendar
from summaries.chosen import chosen
from summaries.counters import Batch, Counters
from summaries.counting_report import CountingReport
from summaries.fold import Sums, fold, nobody
from summaries.hooks import Hook
from summaries.lease import LEASE, Lease
from summaries.recent import news, recent
from tracker.canary import KEPT
from tracker.hit import CANARY, Hit
from tracker.nodes import NodeAway
from tracker.raw import START, RawLog, milliseconds, oldest, order
from tracker.settings import Settings

log = logging.getLogger(__name__)

BATCH = 2000  # hits; one apply of so many keeps Redis busy for about 50 ms
PACE = 0.02  # seconds between batches: under load they grow instead of getting more
IDLE = 0.2  # seconds to wait for a hit before looking for new sites
BEHIND = 5.0  # seconds of lag worth a line in the log
TIDY = 60.0  # seconds between two looks for raw hits to forget, and between two equal warnings


@dataclass(frozen=True)
class Step:
    """What one step did: hits counted, and how old the oldest of them was, in seconds."""

    hits: int = 0
    lag: float = 0.0


@dataclass
class Counting:
    """Counts the raw log into the counters, every summary from where its cursor stands."""

    raw: RawLog
    counters: Counters
    hooks: Mapping[str, Hook]
    calendar: Calendar
    report: CountingReport
    apart: Callable[[Hit], bool] = nobody  # hits that count in the summary `bot` alone
    keep_raw: timedelta | None = None
    keep_raw_max: int = 0
    _sites: set[str] = field(default_factory=set)  # all that were seen at the last look
    _cursors: dict[str, dict[str, str]] = field(default_factory=dict)  # site -> summary -> id
    _warned: dict[str, float] = field(default_factory=dict)  # hook -> when it was last logged
    _failures: dict[str, int] = field(default_factory=dict)  # hook -> hits lost since

    @classmethod
    def of(cls, settings: Settings, redis: Redis) -> "Counting":
        calendar = Calendar.of(settings)
        counters = Counters(redis, calendar, settings.max_labels)
        picked = chosen(settings)
        keep = settings.keep_raw, settings.keep_raw_max
        report = CountingReport(redis)
        return cls(RawLog(redis), counters, picked.hooks, calendar, report, picked.apart, *keep)

    def sites(self) -> set[str]:
        """All there are; while the node that knows them is away, those that there were."""
        with suppress(NodeAway):
            self._sites = self.raw.sites()
        return self._sites | {CANARY}

    def cursors(self, sites: Iterable[str]) -> dict[str, str]:
        """Site -> cursor, but of those whose node is away."""
        found = {}
        for site in sites:
            with suppress(NodeAway):
                found[site] = self.cursor(site)
        return found

    def cursor(self, site: str) -> str:
        """The id up to which every summary has counted: after it there is work for some."""
        return oldest(self._positions(site).values())

    def step(self, site: str, limit: int = BATCH) -> Step:
        """Count at most `limit` hits of a site for every group of summaries with one cursor.

        Those behind are led up to the foremost, never past it: so they join.
        """
        positions = self._positions(site)
        lead = max(positions.values(), key=order)
        done = [Step()]
        for start in sorted(set(positions.values()), key=order):
            names = [name for name in self.hooks if positions[name] == start]
            upto = "+" if start == lead else lead
            done.append(self._count(site, names, start, (limit, upto)))
        return Step(max(step.hits for step in done), max(step.lag for step in done))

    def _count(self, site: str, names: list[str], start: str, bounds: tuple[int, str]) -> Step:
        entries = self.raw.after(site, start, *bounds)
        if not entries:
            return Step()
        end, hits = entries[-1][0], [hit for _, hit in entries if hit]
        counted = hits if site != CANARY else []
        sums = fold(counted, {name: self.hooks[name] for name in names}, self.calendar, self.apart)
        fresh = [hit for _, hit in news(entries, self.apart, end)]
        batch = Batch(site, names, start, end, sums, recent(fresh), len(fresh), datetime.now(UTC))
        begun = time.monotonic()
        if not self.counters.apply(batch):
            self._cursors.pop(site, None)  # another counter was first: see where it left off
            return Step()
        seconds = time.monotonic() - begun
        self._positions(site).update(dict.fromkeys(names, end))
        self._report(site, sums, len(entries) - len(hits))
        lag = max(0.0, time.time() - order(entries[0][0])[0] / 1000)
        if "server" in names:  # others that catch up count the same hits again
            self.report.counted(site, len(entries), seconds, lag)
        return Step(len(entries), lag)

    def _positions(self, site: str) -> dict[str, str]:
        if site not in self._cursors:
            found = self.counters.cursors(site)
            self._cursors[site] = {name: found.get(name, START) for name in self.hooks}
        return self._cursors[site]

    def _report(self, site: str, sums: Sums, unreadable: int) -> None:
        """A failing hook is logged once a minute, with how many hits it has lost since."""
        if unreadable:
            log.error("%s: %d entries of the raw log cannot be read", site, unreadable)
        self.report.failed(unreadable, sums.failures)
        self.counters.note_failures(site, sums.failures, datetime.now(UTC))
        for name, error in sums.errors.items():
            self._failures[name] = self._failures.get(name, 0) + sums.failures[name]
            if time.monotonic() - self._warned.get(name, -TIDY) >= TIDY:
                self._warned[name] = time.monotonic()
                lost = self._failures.pop(name)
                log.error("summary %s failed on %d hits: %r", name, lost, error, exc_info=error)

    def forget(self, site: str, now: datetime) -> None:
        """Drop raw hits that are too old or too many, but none that is not counted."""
        old = START if self.keep_raw is None else f"{max(0, milliseconds(now - self.keep_raw))}-0"
        most = KEPT if site == CANARY else self.keep_raw_max
        while self.raw.trim(site, old, most, self.cursor(site)):
            pass  # in parts, between which others are served

    def reread(self) -> None:
        """Forget where the cursors stood: somebody else may have moved them."""
        self._cursors.clear()


def run(settings: Settings, redis: Redis, stop: Event) -> None:
    """Count until `stop` is set; of several processes one works. Outlives a Redis that goes away."""
    counting = Counting.of(settings, redis)
    lease = Lease(redis)
    wait = PACE
    while not stop.is_set():
        try:
            if lease.hold():
                work(counting, lease, stop)
            else:
                stop.wait(LEASE / 4)
            counting.reread()
            if wait > PACE:
                log.warning("counting goes on")
            wait = PACE
        except RedisError as error:
            if wait == PACE:
                log.warning("counting waits for Redis: %s", error)
            stop.wait(wait)
            wait = min(1.0, wait * 2)
            counting.reread()
    lease.release()


def work(counting: Counting, lease: Lease, stop: Event) -> None:
    """Count while the lease is ours, looking for new sites every now and then."""
    tidy = warned = 0.0
    while lease.hold() and not stop.is_set():
        sites = counting.sites()
        if time.monotonic() >= tidy:
            tidy = time.monotonic() + TIDY
            for site in counting.cursors(sites):
                counting.forget(site, datetime.now(UTC))
        lag = busy(counting, sites, stop)
        with suppress(NodeAway):
            counting.report.tell()
        if lag > BEHIND and time.monotonic() >= warned:
            warned = time.monotonic() + TIDY
            log.warning("counting is %.1f s behind", lag)


def busy(counting: Counting, sites: set[str], stop: Event) -> float:
    """Count what these sites have for about IDLE seconds; the greatest lag seen, in seconds."""
    end = time.monotonic() + IDLE
    lag = 0.0
    while (left := end - time.monotonic()) > 0 and not stop.is_set():
        if not sites:
            stop.wait(left)
            continue
        begun = time.monotonic()
        ready = counting.raw.waiting(counting.cursors(sites), left)
        steps = [counting.step(site) for site in ready]
        lag = max([lag, *(step.lag for step in steps)])
        if ready and all(step.hits < BATCH for step in steps):
            stop.wait(max(0.0, PACE - (time.monotonic() - begun)))
    return lag
