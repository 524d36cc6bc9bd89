"""Forget: removes a person from the raw log and the counters of a site, while hits come in and are counted.

The order makes it whole at whatever moment it ends, and what is left is found by the next run:

1. Everything up to the newest hit is counted. A batch that some counter has read before is void then.
2. The counters are compared with a recount of the raw log without the person's hits, and swapped.
3. The hits go from the raw log, and a copy takes its place that has no trace of them.
4. Counters older than the raw log cannot be recounted: there the label's numbers go to (other).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgpack
from redis import Redis

from summaries.buckets import Calendar
from summaries.chosen import chosen
from summaries.counting import Counting
from summaries.recount import Recount
from summaries.verify import Comparison
from tracker import keys
from tracker.person import Person
from tracker.raw import START, RawLog, order
from tracker.raw_eraser import RawEraser, Rest, Traces
from tracker.settings import Settings

LABELS = 1000  # of a counter read at once
MOVED = 200  # labels that one call of the script moves

Told = Callable[[str, int], None]  # hears what is done, and how much of it now


@dataclass
class Found:
    """What holds a trace of the person in one site, as far as it was looked at."""

    site: str
    raw: Traces = field(default_factory=Traces)
    labels: dict[keys.Key, list[str]] = field(default_factory=dict)  # by the counter of hits
    begun: bool = False  # somebody was ended before all was removed

    def __bool__(self) -> bool:
        return bool(self.raw.ids or self.labels or self.begun)


@dataclass
class Removed:
    """What was removed of one site."""

    site: str
    hits: int = 0  # entries of the raw log
    labels: int = 0  # of counters that cannot be recounted; their numbers are under (other)
    recounted: int = 0  # counters that were swapped for right ones
    rewritten: bool = True  # False: Redis has no room for a copy of the raw log


class Forgetting:
    """Forgets one person, site by site. Raises Unsettled, Overtaken, RedisError: run it again."""

    def __init__(self, settings: Settings, redis: Redis, person: Person, told: Told) -> None:
        self._settings = settings
        self._redis = redis
        self._person = person
        self.told = told
        self._picked = chosen(settings)
        self._relabel = redis.register_script(Path(__file__).with_name("relabel.lua").read_text("utf-8"))

    def find(self, site: str) -> Found:
        """What there is of the person."""
        eraser, found = RawEraser(self._redis, site), Found(site)
        found.begun = eraser.is_begun()
        eraser.find(self._person, found.raw, partial(self.told, "hits read"))
        found.labels = {key: labels for key, labels in self._labels(site) if labels}
        return found

    def remove(self, found: Found) -> Removed:
        """Remove that, and what has come since."""
        removed, eraser = Removed(found.site), RawEraser(self._redis, found.site)
        eraser.begin()
        eraser.find(self._person, found.raw, partial(self.told, "hits read"))
        self._count(found.site, found.raw.end)
        recount = self._recount(found)
        comparison = Comparison(self._redis, recount, eraser.name)
        report = comparison.mend(lambda done, total: self.told("counters", 0))
        removed.recounted = report.differ - report.left
        removed.hits = eraser.remove(found.raw.ids)
        removed.rewritten = self._rewrite(eraser, found)
        removed.labels = self._move(recount)
        self._announce(found.site, recount.positions)
        return removed

    def _rewrite(self, eraser: RawEraser, found: Found) -> bool:
        """Whether no memory holds what was removed."""
        is_whole = not (found.raw.ids or found.begun)
        if is_whole or not eraser.has_room():
            eraser.leave()
            return is_whole
        eraser.rewrite(partial(self.told, "hits copied"))
        return True

    def _count(self, site: str, end: str) -> None:
        """Count up to that id, whoever else counts: then no batch is under way that began before."""
        counting = Counting.of(self._settings, self._redis)
        while order(counting.cursor(site)) < order(end):
            if not counting.step(site).hits:
                counting.reread()
                if not counting.raw.after(site, counting.cursor(site), 1, end):
                    return  # forgotten for their age meanwhile

    def _recount(self, found: Found) -> Recount:
        rest = Rest(self._redis, frozenset(found.raw.ids))
        calendar, most = Calendar.of(self._settings), self._settings.max_labels
        return Recount(rest, found.site, self._picked, calendar, most, partial(self.told, "hits recounted"))

    def _move(self, recount: Recount) -> int:
        """Count labels as (other) where no recount reaches; elsewhere they are of hits that came since."""
        moved = 0
        for key, labels in self._labels(recount.site):
            if labels and not _is_recounted(recount, key):
                moved += self._move_labels(key, labels)
        return moved

    def _move_labels(self, key: keys.Key, labels: list[str]) -> int:
        site, moved = key.site, 0
        counters = [keys.counter(site, measure, key.summary, key.bucket) for measure in keys.MEASURES]
        for first in range(0, len(labels), MOVED):
            args = [key.summary, *labels[first : first + MOVED]]
            moved += int(self._relabel(keys=[keys.cursor(site), keys.live(site), *counters], args=args))
        return moved

    def _announce(self, site: str, positions: Mapping[str, str]) -> None:
        """Quiet, as apply.lua does it: walls read anew, their last hits, too."""
        cursor = positions.get("server", START)
        news = [["server"], cursor, cursor, 0, "[]", [], 1]
        self._redis.publish(keys.live(site), msgpack.packb(news, use_bin_type=False))

    def _labels(self, site: str) -> Iterator[tuple[keys.Key, list[str]]]:
        """Every counter of hits, and those of its labels that hold a trace of the person."""
        pattern = keys.counter(site, "hits", "*", "*")
        for name in self._redis.scan_iter(pattern, count=LABELS, _type="hash"):
            key = keys.parse(name)
            if key and key.kind == "counter":
                self.told("counters searched", 1)
                yield key, self._labels_in(name)

    def _labels_in(self, counter: bytes) -> list[str]:
        found: dict[str, None] = {}
        for part in self._person.parts:
            for label, _ in self._redis.hscan_iter(counter, f"*{part}*", LABELS):
                text = label.decode(errors="replace")
                if self._person.is_in(text):
                    found[text] = None
        return list(found)


def _is_recounted(recount: Recount, key: keys.Key) -> bool:
    """Whether the counter was compared with the raw log, and put right where it differed."""
    is_ours = key.summary in recount.positions and not recount.failures[key.summary]
    return is_ours and recount.covers(key.bucket) and recount.lives(key.bucket, datetime.now(UTC))


def sites(redis: Redis) -> list[str]:
    """Every site that has a raw log."""
    return sorted(RawLog(redis).sites())
