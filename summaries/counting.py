"""Counting: `step` counts one batch of one site."""

import gc
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf

from redis import Redis

from summaries.alignment import Alignment
from summaries.buckets import Calendar
from summaries.chosen import chosen
from summaries.counters import UNREADABLE, Batch, Counters, LostCursor
from summaries.counting_report import CountingReport
from summaries.fold import Sums, fold, nobody
from summaries.hooks import Hook
from summaries.recent import recent, since
from tracker.canary import KEPT
from tracker.hit import CANARY, Hit
from tracker.nodes import NodeAway
from tracker.raw import START, RawLog, milliseconds, oldest, order
from tracker.seldom import Seldom
from tracker.settings import Settings

log = logging.getLogger(__name__)

BATCH = 2000  # hits; one apply of so many keeps Redis busy for about 35 ms


@dataclass(frozen=True)
class Step:
    """What one step did: hits counted, and how old the oldest of them was, in seconds."""

    hits: int = 0
    lag: float = 0.0


@contextmanager
def paused() -> Iterator[None]:
    """Without the search for circles (gc): a batch has 20,000 objects and none, and it took a fifth."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass
class Counting:
    """Counts the raw log into the counters, every summary from where its cursor stands."""

    raw: RawLog
    counters: Counters
    hooks: Mapping[str, Hook]
    calendar: Calendar
    report: CountingReport
    alignment: Alignment
    apart: Callable[[Hit], bool] = nobody  # hits that count in the summary `bot` alone
    keep_raw: timedelta | None = None
    keep_raw_max: int = 0
    _sites: set[str] = field(default_factory=set)  # all that were seen at the last look
    _cursors: dict[str, dict[str, str]] = field(default_factory=dict)  # site -> summary -> id
    _unreadable: dict[str, Seldom] = field(default_factory=dict)  # site -> entries; bound: the sites

    @classmethod
    def of(cls, settings: Settings, redis: Redis) -> "Counting":
        calendar = Calendar.of(settings)
        counters = Counters(redis, calendar, settings.max_labels)
        picked = chosen(settings)
        keep = settings.keep_raw, settings.keep_raw_max
        beside = CountingReport(redis), Alignment(redis, calendar)
        return cls(RawLog(redis), counters, picked.hooks, calendar, *beside, picked.apart, *keep)

    def sites(self) -> set[str]:
        """All there are; while the node that knows them is away, those that there were."""
        with suppress(NodeAway):
            self._sites = self.raw.sites()
        return self._sites | {CANARY}

    def cursor(self, site: str) -> str:
        """The id up to which every summary has counted: after it there is work for some."""
        return oldest(self._positions(site).values())

    def step(self, site: str, limit: int = BATCH) -> Step:
        """Count at most `limit` hits of a site for every group of summaries with one cursor.

        Those behind are led up to the foremost, never past it: so they join.
        """
        with paused():
            return self._step(site, limit)

    def _step(self, site: str, limit: int) -> Step:
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
        hooks = {name: self.hooks[name] for name in names}
        sums = fold(hits, hooks, self.calendar, self.apart) if site != CANARY else Sums(hits)
        oldest = since(end)
        fresh = [hit for hit in sums.people if hit.at > oldest]
        batch = Batch(site, names, start, end, sums, recent(fresh), len(fresh), datetime.now(UTC))
        begun = time.monotonic()
        if not self._apply(batch):
            self._cursors.pop(site, None)  # see where they stand
            return Step()
        seconds = time.monotonic() - begun
        self._positions(site).update(dict.fromkeys(names, end))
        self._report(site, sums, len(entries) - len(hits))
        lag = max(0.0, time.time() - order(entries[0][0])[0] / 1000)
        if "server" in names:  # others that catch up count the same hits again
            self.report.counted(site, len(entries), seconds, lag)
        return Step(len(entries), lag)

    def _apply(self, batch: Batch) -> bool:
        """False where another counter was first, or a cursor had to be put in its place."""
        try:
            return self.counters.apply(batch)
        except LostCursor:
            self.alignment.restore(batch.site, batch.summaries)
            return False

    def _positions(self, site: str) -> dict[str, str]:
        if site not in self._cursors:
            found = self.counters.cursors(site)
            absent = [name for name in self.hooks if name not in found]
            if found and absent and (lost := self.alignment.lost(site, absent)):  # not just new ones
                self.alignment.restore(site, lost)
                found = self.counters.cursors(site)
            self._cursors[site] = {name: found.get(name, START) for name in self.hooks}
        return self._cursors[site]

    def _report(self, site: str, sums: Sums, unreadable: int) -> None:
        failures = dict(sums.failures)
        if unreadable:
            text = f"{site}: %d entries of the raw log cannot be read"
            self._unreadable.setdefault(site, Seldom(log, logging.ERROR, text)).add(unreadable)
            failures[UNREADABLE] = unreadable
        self.report.failed(unreadable, sums)
        self.counters.note_failures(site, failures, datetime.now(UTC))

    def forget(self, site: str, now: datetime, parts: float = inf) -> bool:
        """Drop raw hits that are too old or too many, but none that is not counted; whether more may be due.

        It stops after so many parts, between which others are served.
        """
        old = START if self.keep_raw is None else f"{max(0, milliseconds(now - self.keep_raw))}-0"
        most = KEPT if site == CANARY else self.keep_raw_max
        while parts > 0 and self.raw.trim(site, old, most, self.cursor(site)):
            parts -= 1
        return parts <= 0

    def reread(self, site: str = "") -> None:
        """Forget where the cursors stood, of one site or of all: somebody else may have moved them."""
        if site:
            self._cursors.pop(site, None)
        else:
            self._cursors.clear()
