"""Counting: `step` counts one batch of one site."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from math import inf
from typing import Any

from redis import Redis

from summaries.ahead import Ahead, Folded, Kept
from summaries.alignment import Alignment
from summaries.buckets import Calendar
from summaries.chosen import chosen
from summaries.counters import UNREADABLE, Batch, Counters, LostCursor
from summaries.counting_report import CountingReport
from summaries.fold import Sums, fold, nobody
from summaries.hooks import Hook
from summaries.no_gc import no_gc
from summaries.pace import BATCH, size_after
from summaries.recent import recent, since
from tracker.canary import KEPT
from tracker.hit import CANARY, Hit
from tracker.nodes import NodeAway
from tracker.raw import START, RawLog, milliseconds, oldest, order, read_entry
from tracker.seldom import Seldom
from tracker.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """What one step did: hits counted, how old the oldest of them was, in seconds, and whether more wait."""

    hits: int = 0
    lag: float = 0.0
    more: bool = False


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
    _size: int = BATCH  # of the next batch of a site that is behind, hits
    _ahead: Ahead = field(init=False)

    def __post_init__(self) -> None:
        self._ahead = Ahead(self.raw)

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

    def step(self, site: str, limit: int = 0) -> Step:
        """Count at most `limit` hits of a site for every group of summaries with one cursor.

        0 stands for as many as pace.py says.
        Those behind are led up to the foremost, never past it: so they join.
        """
        with no_gc():
            return self._step(site, limit)

    def _step(self, site: str, limit: int) -> Step:
        positions = self._positions(site)
        starts = sorted(set(positions.values()), key=order)
        if len(starts) == 1:
            return self._count(site, limit, starts[0])
        done = []
        for start in starts:
            upto = "+" if start == starts[-1] else starts[-1]
            names = [name for name in self.hooks if positions[name] == start]
            size = limit or self._size
            found = self.raw.unread(site, start, size, upto)
            folded = self._fold(site, names, start, found)
            done.append(self._counted(folded, size, self._apply) if folded else Step())
        more = any(step.more for step in done)
        return Step(max(step.hits for step in done), max(step.lag for step in done), more)

    def _count(self, site: str, limit: int, start: str) -> Step:
        """Of summaries that all stand there. Who is behind works ahead; a few hits are counted at once."""
        names, size = list(self.hooks), limit or self._size
        ready = self._ahead.take(site, names, start, limit)
        if ready is None:
            found = self.raw.unread(site, start, size)
            folded = self._fold(site, names, start, found)
            if folded is None:
                return Step()
            ready = Kept(folded, None, limit, len(found) >= size)
        if not (ready.is_full and self._ahead.is_free()):
            return self._counted(ready.folded, size, self._apply)
        fold = partial(self._fold, site, names)
        return self._counted(ready.folded, size, lambda _: self._ahead.apply(ready, size, self._apply, fold))

    def _fold(self, site: str, names: list[str], start: str, found: list[Any]) -> Folded | None:
        """A batch of these entries, which come after `start`; None where there are none."""
        if not found:
            return None
        entries = list(map(read_entry, found))
        end, hits = entries[-1][0], [hit for _, hit in entries if hit]
        hooks = {name: self.hooks[name] for name in names}
        sums = fold(hits, hooks, self.calendar, self.apart) if site != CANARY else Sums(hits)
        oldest = since(end)
        fresh = [hit for hit in sums.people if hit.at > oldest]
        batch = Batch(site, names, start, end, sums, recent(fresh), len(fresh), datetime.now(UTC))
        packed = self.counters.pack(batch)
        return Folded(batch, packed, entries[0][0], len(entries), len(entries) - len(hits))

    def _counted(self, folded: Folded, size: int, apply: Callable[[Folded], float | None]) -> Step:
        """See that the batch is applied, and tell of it; `size` hits at most were asked for."""
        batch, site, seconds = folded.batch, folded.batch.site, None
        try:
            seconds = apply(folded)
        except LostCursor:
            self.alignment.restore(site, batch.summaries)
        if seconds is None:
            self.reread(site)  # see where they stand
            return Step()
        self._positions(site).update(dict.fromkeys(batch.summaries, batch.end))
        self._report(site, batch.sums, folded.unreadable)
        self._size = size_after(folded.entries, seconds, self._size)
        lag = max(0.0, time.time() - order(folded.first)[0] / 1000)
        if "server" in batch.summaries:  # others that catch up count the same hits again
            self.report.counted(site, folded.entries, seconds, lag)
        return Step(folded.entries, lag, folded.entries >= size)

    def _apply(self, folded: Folded) -> float | None:
        """The seconds it took; None where another counter was first. Raises LostCursor."""
        begun = time.monotonic()
        return time.monotonic() - begun if self.counters.send(folded.packed) else None

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
        self._ahead.drop(site)
        if site:
            self._cursors.pop(site, None)
        else:
            self._cursors.clear()
