"""Verify: the counters in Redis against a recount of the raw log, and the swap of those that differ.

Nothing is locked. A few counters are read together with the cursors, at one moment; the recount is
led to exactly these cursors, and then the two must be equal, whatever is counted meanwhile. A swap
happens only while the cursor is still the recount's, so no wrong number can be read at any moment.
Each swap is all or nothing: killed half-way, or run twice at once, every counter is as before or right.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgpack
from redis import Redis

from summaries.buckets import KINDS
from summaries.fold import Tallies
from summaries.recount import Place, Recount, Unsettled
from tracker import keys
from tracker.raw import START

COUNTERS = 200  # read together at most, and
LABELS = 20_000  # of these together, as far as we know them before
TRIES = 200  # of one swap; counting leaves about 20 ms between two batches, a try takes about 3
TOLD = 1000  # differences that a report holds at most
NO_NUMBER = -1  # what a field counts as that holds no number


@dataclass(frozen=True)
class Difference:
    """One label of one counter; [hits, bytes] as counted and as the raw log says, None for none."""

    summary: str
    bucket: str
    label: str
    counted: list[int] | None
    raw: list[int] | None


@dataclass
class Report:
    """What came out for one site."""

    site: str
    counters: int = 0  # compared
    differ: int = 0  # of these
    left: int = 0  # that differ and were not mended, for their hook failed
    labels: int = 0  # that differ in them
    differences: list[Difference] = field(default_factory=list)  # the first of them
    unchecked: int = 0  # counters whose raw hits are forgotten
    since: dict[str, str | None] = field(default_factory=dict)  # kind -> first bucket compared, None: all
    failed: dict[str, int] = field(default_factory=dict)  # summary -> hits on which its hook failed

    def take(self, found: list[Difference]) -> None:
        """One counter that was compared."""
        self.counters += 1
        self.differ += bool(found)
        self.labels += len(found)
        self.differences += found[: TOLD - len(self.differences)]


class Comparison:
    """The counters of one site, compared with its recount."""

    def __init__(self, redis: Redis, recount: Recount) -> None:
        self._redis = redis
        self._recount = recount
        self._names: list[str] = []
        self._swap = redis.register_script(Path(__file__).with_name("swap.lua").read_text("utf-8"))

    def verify(self, told: Callable[[int, int], None]) -> Report:
        """Compare every counter; `told` hears how many of how many are done."""
        return self._go(told, lambda place: False)

    def mend(self, told: Callable[[int, int], None]) -> Report:
        """Compare every counter and swap those that differ.

        Those of a summary whose hook fails now are left: the counts that it made may be all there is.
        """
        return self._go(told, self._mend)

    def _go(self, told: Callable[[int, int], None], wrong: Callable[[Place], bool]) -> Report:
        report = Report(self._recount.site)
        self._begin()
        places = self._places()
        done = 0
        for bunch in self._bunches(places):
            found = self._compare(bunch)
            for place, differences in found.items():
                report.take(differences)
                report.left += bool(differences) and wrong(place)
            report.unchecked += sum(not self._recount.covers(bucket) for _, bucket in bunch)
            done += len(bunch)
            told(done, len(places))
        report.since = {kind: self._recount.first(kind) for kind in KINDS}
        report.failed = dict(self._recount.failures)
        return report

    def _begin(self) -> None:
        """Fold all there is; a summary that has counted nothing yet has no counters to look at."""
        found = cast(Any, self._redis.hgetall(keys.cursor(self._recount.site)))
        self._names = [name for name in self._recount.picked.hooks if name.encode() in found]
        self._recount.catch_up(self._cursors(found))

    def _cursors(self, found: Mapping[bytes, bytes]) -> dict[str, str]:
        return {name: found.get(name.encode(), START.encode()).decode() for name in self._names}

    def _places(self) -> list[Place]:
        """Counters that there are, and those that there must be."""
        places = dict.fromkeys(self._recount.sums)
        for measure in keys.MEASURES:
            pattern = keys.counter(self._recount.site, measure, "*", "*")
            for name in self._redis.scan_iter(pattern, count=1000):
                key = keys.parse(name.decode())
                if key and key.summary in self._names:
                    places[key.summary, key.bucket] = None
        now = datetime.now(UTC)
        return sorted(place for place in places if self._recount.lives(place[1], now))

    def _bunches(self, places: Iterable[Place]) -> Iterator[list[Place]]:
        bunch: list[Place] = []
        labels = 0
        for place in places:
            bunch.append(place)
            labels += len(self._recount.sums.get(place, ()))
            if len(bunch) == COUNTERS or labels >= LABELS:
                yield bunch
                bunch, labels = [], 0
        yield bunch

    def _compare(self, places: list[Place]) -> dict[Place, list[Difference]]:
        """The differences of each place that is covered."""
        counted = self._read([place for place in places if self._recount.covers(place[1])])
        return {
            place: list(_differences(place, labels, self._recount.sums.get(place, {})))
            for place, labels in counted.items()
            if self._recount.covers(place[1])
        }

    def _read(self, places: list[Place]) -> dict[Place, Tallies]:
        """What is counted there, with the recount led to the cursors of that moment."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hgetall(keys.cursor(self._recount.site))
        for place in places:
            pipe.hgetall(keys.counter(self._recount.site, "hits", *place))
            pipe.hgetall(keys.counter(self._recount.site, "bytes", *place))
        cursors, *hashes = pipe.execute()
        self._recount.catch_up(self._cursors(cursors))
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        return {place: _tallies(*pair) for place, pair in zip(places, pairs, strict=True)}

    def _mend(self, place: Place) -> bool:
        """Swap that counter, if it is not right by itself or out of the log by now; True where it is left."""
        if self._recount.failures[place[0]]:
            return True
        for _ in range(TRIES):
            if self._swapped(place) or not self._compare([place]).get(place):
                return False
        raise Unsettled(
            f"The counters of {self._recount.site} move on faster than they can be mended: "
            "run hitwall recount again when there is less traffic. What is mended stays so."
        )

    def _swapped(self, place: Place) -> bool:
        name, bucket = place
        site, tallies = self._recount.site, self._recount.sums.get(place, {})
        head = [name, self._recount.positions[name], self._recount.calendar.expires(bucket) or 0]
        numbers = [[pair[n] for pair in tallies.values()] for n in (0, 1)]
        packed = msgpack.packb([*head, list(tallies), *numbers], use_bin_type=False)
        counters = [keys.counter(site, measure, name, bucket) for measure in keys.MEASURES]
        return bool(self._swap(keys=[keys.cursor(site), keys.live(site), *counters], args=[packed]))


def _tallies(hits: Mapping[bytes, bytes], sizes: Mapping[bytes, bytes]) -> Tallies:
    found = {label: [_number(n), _number(sizes.get(label, b"0"))] for label, n in hits.items()}
    found |= {label: [0, _number(size)] for label, size in sizes.items() if label not in hits}
    return {label.decode(errors="backslashreplace"): pair for label, pair in found.items()}


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else NO_NUMBER


def _differences(place: Place, counted: Tallies, raw: Tallies) -> Iterator[Difference]:
    for label in {**raw, **counted}:
        if counted.get(label) != raw.get(label):
            yield Difference(*place, label, counted.get(label), raw.get(label))
