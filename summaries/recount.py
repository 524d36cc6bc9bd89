"""Recount: what the counters of a site must hold, folded from the raw log in memory.

It takes about twice the memory that these counters take in Redis, one site at a time.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from summaries.buckets import Calendar
from summaries.chosen import Chosen
from summaries.fold import Tallies, fold
from summaries.tally import OTHER
from tracker.raw import AHEAD, START, Entry, RawLog, oldest, order

BATCH = 2000  # hits read at once
EXPIRING = timedelta(hours=1)  # counters about to expire are left alone: two clocks are never equal

Place = tuple[str, str]  # summary, bucket


class Unsettled(RuntimeError):
    """The counters and the raw log could not be brought to one cursor; the message says what to do."""


def ignore(hits: int) -> None:
    """Who does not want to know how far it is."""


@dataclass
class Recount:
    """The sums of a site by place, each as of the position of its summary; none is led beyond a cursor.

    Only buckets that the raw log still holds whole are kept.
    """

    raw: RawLog
    site: str
    picked: Chosen  # its hooks are the summaries that are recounted
    calendar: Calendar
    most: int  # labels of a counter
    told: Callable[[int], None] = ignore  # hears how many hits were read
    positions: dict[str, str] = field(default_factory=dict)  # summary -> id up to which it is folded
    sums: dict[Place, Tallies] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)  # hook -> hits on which it failed
    since: str = START  # hits up to this id are forgotten

    def catch_up(self, cursors: Mapping[str, str]) -> None:
        """Fold up to exactly these cursors. Raises Unsettled where one stands before our position.

        What stands at one position is led on together, and those behind join the others.
        """
        self.look_back(cursors)
        for name, cursor in cursors.items():
            if order(self.positions.setdefault(name, START)) > order(cursor):
                raise Unsettled(f"The counters of {self.site} were set back meanwhile: start again.")
        while behind := {name for name, end in cursors.items() if self.positions[name] != end}:
            start = oldest(self.positions[name] for name in behind)
            group = [name for name in cursors if name in behind and self.positions[name] == start]
            end = oldest(self._stops(behind, group, cursors))
            entries = self.raw.after(self.site, start, BATCH, end)
            self._fold(group, entries)
            reached = entries[-1][0] if len(entries) == BATCH else end
            self.positions.update(dict.fromkeys(group, reached))
        self.look_back(cursors)  # after reading: hits forgotten before they were read are missing

    def _stops(self, behind: Iterable[str], group: list[str], cursors: Mapping[str, str]) -> list[str]:
        return [cursors[name] if name in group else self.positions[name] for name in behind]

    def look_back(self, cursors: Mapping[str, str]) -> None:
        """See from where on the log is whole; one that was emptied by hand holds nothing of before."""
        self.since = self.raw.whole_since(self.site)
        lead = max(cursors.values(), key=order, default=START)
        if order(self.since) < order(lead):
            first = self.raw.after(self.site, START, 1)
            if not first or order(first[0][0]) > order(lead):
                self.since = lead

    def _fold(self, names: list[str], entries: list[Entry]) -> None:
        hooks = {name: self.picked.hooks[name] for name in names}
        sums = fold((hit for _, hit in entries if hit), hooks, self.calendar, self.picked.apart)
        for run in sums.runs:
            buckets = [bucket for bucket in run.buckets if self.covers(bucket)]
            for name, tallies in run.sums.items():
                for bucket in buckets if tallies else ():
                    self._add(self.sums.setdefault((name, bucket), {}), tallies)
        self.failures.update(sums.failures)
        self.told(len(entries))

    def _add(self, labels: Tallies, tallies: Tallies) -> None:
        """As apply.lua does it: the first labels that fit, the rest under (other)."""
        held = len(labels) - (OTHER in labels)
        for label, (hits, size) in tallies.items():
            sums = labels.get(label)
            if sums is None:
                if label != OTHER and held < self.most:
                    held += 1
                else:
                    label = OTHER
                sums = labels.setdefault(label, [0, 0])
            sums[0] += hits
            sums[1] += size

    def covers(self, bucket: str) -> bool:
        """Whether the log holds every hit that was ever counted in the bucket.

        A hit that is forgotten had come by `since`, and its own time is at most AHEAD later:
        it may be any older, as those of an imported log are.
        """
        return self.since == START or self.calendar.span(bucket)[0] > self._horizon()

    def first(self, kind: str) -> str | None:
        """The first bucket of a kind that is covered; None where all are."""
        if self.since == START:
            return None
        return self.calendar.bucket(kind, self.calendar.span(self.calendar.bucket(kind, self._horizon()))[1])

    def _horizon(self) -> datetime:
        return datetime.fromtimestamp(order(self.since)[0] / 1000, UTC) + AHEAD

    def lives(self, bucket: str, now: datetime) -> bool:
        """Whether its counters have some time left before they expire."""
        expires = self.calendar.expires(bucket)
        return expires is None or expires > (now + EXPIRING).timestamp()
