"""Counting: `step` counts one batch of one site, `run` goes on for ever."""

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event

from redis import Redis, RedisError
from redis.exceptions import LockError

from summaries.buckets import Calendar
from summaries.counters import Batch, Counters
from summaries.fold import Sums, fold
from summaries.hooks import Hook, in_calendar
from summaries.recent import recent
from tracker import keys
from tracker.raw import START, RawLog, milliseconds, oldest, order
from tracker.settings import Settings

log = logging.getLogger(__name__)

BATCH = 2000  # hits; one apply of so many keeps Redis busy for about 50 ms
PACE = 0.02  # seconds between batches: under load they grow instead of getting more
IDLE = 0.2  # seconds to wait for a hit before looking for new sites
LEASE = 2.0  # seconds after which another counter takes over from one that was killed
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
    keep_raw: timedelta | None = None
    _cursors: dict[str, dict[str, str]] = field(default_factory=dict)  # site -> summary -> id
    _warned: dict[str, float] = field(default_factory=dict)  # hook -> when it was last logged
    _failures: dict[str, int] = field(default_factory=dict)  # hook -> hits lost since

    @classmethod
    def of(cls, settings: Settings, redis: Redis) -> "Counting":
        calendar = Calendar.of(settings)
        counters = Counters(redis, calendar, settings.max_labels)
        return cls(RawLog(redis), counters, in_calendar(calendar), calendar, settings.keep_raw)

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
        sums = fold(hits, {name: self.hooks[name] for name in names}, self.calendar)
        if not self.counters.apply(Batch(site, names, start, end, sums, recent(hits))):
            self._cursors.pop(site, None)  # another counter was first: see where it left off
            return Step()
        self._positions(site).update(dict.fromkeys(names, end))
        self._report(site, sums, len(entries) - len(hits))
        return Step(len(entries), max(0.0, time.time() - order(entries[0][0])[0] / 1000))

    def _positions(self, site: str) -> dict[str, str]:
        if site not in self._cursors:
            found = self.counters.cursors(site)
            self._cursors[site] = {name: found.get(name, START) for name in self.hooks}
        return self._cursors[site]

    def _report(self, site: str, sums: Sums, unreadable: int) -> None:
        """A failing hook is logged once a minute, with how many hits it has lost since."""
        if unreadable:
            log.error("%s: %d entries of the raw log cannot be read", site, unreadable)
        for name, error in sums.errors.items():
            self._failures[name] = self._failures.get(name, 0) + sums.failures[name]
            if time.monotonic() - self._warned.get(name, -TIDY) >= TIDY:
                self._warned[name] = time.monotonic()
                lost = self._failures.pop(name)
                log.error("summary %s failed on %d hits: %r", name, lost, error, exc_info=error)

    def forget(self, site: str, now: datetime) -> None:
        """Drop raw hits that are older than they are kept, but none that is not counted."""
        if self.keep_raw is not None:
            age = f"{max(0, milliseconds(now - self.keep_raw))}-0"
            self.raw.trim(site, oldest([age, self.cursor(site)]))

    def reread(self) -> None:
        """Forget where the cursors stood: somebody else may have moved them."""
        self._cursors.clear()


class Lease:
    """Held by the process that counts; others stand by. It saves work, nothing relies on it."""

    def __init__(self, redis: Redis) -> None:
        self._lock = redis.lock(keys.LEASE, timeout=LEASE, thread_local=False)
        self._until = 0.0

    def hold(self) -> bool:
        """Take it or keep it; False while another has it."""
        if time.monotonic() < self._until:
            return True
        held = self._renew() or self._lock.acquire(blocking=False)
        self._until = time.monotonic() + LEASE / 4 if held else 0.0
        return held

    def _renew(self) -> bool:
        try:
            return bool(self._lock.reacquire())
        except LockError:
            return False

    def release(self) -> None:
        """Let another start at once."""
        with suppress(LockError, RedisError):
            self._lock.release()


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
        sites = counting.raw.sites()
        if time.monotonic() >= tidy:
            tidy = time.monotonic() + TIDY
            for site in sites:
                counting.forget(site, datetime.now(UTC))
        lag = busy(counting, sites, stop)
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
        ready = counting.raw.waiting({site: counting.cursor(site) for site in sites}, left)
        steps = [counting.step(site) for site in ready]
        lag = max([lag, *(step.lag for step in steps)])
        if ready and all(step.hits < BATCH for step in steps):
            stop.wait(max(0.0, PACE - (time.monotonic() - begun)))
    return lag
