"""Verify: the counters in Redis against a recount of the raw log, and the swap of those that differ.

Nothing is locked. A few counters are read together with the cursors, at one moment; the recount is
led to exactly these cursors, and then the two must be equal, whatever is counted meanwhile. A swap
happens only while the cursor is still the recount's, so no wrong number can be read at any moment.
Each swap is all or nothing: killed half-way, or run twice at once, every counter is as before or right.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgpack
from redis import Redis

from summaries.buckets import KINDS
from summaries.differences import Difference, Report, differences, tallies_of
from summaries.fold import Tallies
from summaries.recount import Place, Recount, Unsettled
from tracker import keys
from tracker.foreign import undisturbed
from tracker.raw import START

COUNTERS = 200  # read together at most, and
LABELS = 20_000  # of these together, as far as we know them before
TRIES = 200  # of one swap; counting leaves about 20 ms between two batches, a try takes about 3


class Comparison:
    """The counters of one site, compared with its recount."""

    def __init__(self, redis: Redis, recount: Recount, removal: str = "") -> None:
        """`removal` is the name of the hitwall forget that it is a part of."""
        self._redis = redis
        self._removal = removal.encode()
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

    def patch(self, places: Collection[Place], told: Callable[[int, int], None]) -> Report:
        """Mend these counters alone."""
        return self._go(told, self._mend, places)

    def _go(
        self,
        told: Callable[[int, int], None],
        wrong: Callable[[Place], bool],
        only: Collection[Place] | None = None,
    ) -> Report:
        report = Report(self._recount.site)
        self._begin()
        places = self._places() if only is None else self._alive(only)
        done = 0
        for bunch in self._bunches(places):
            found = self._compare(bunch)
            for place, wrongs in found.items():
                report.take(wrongs)
                report.left += bool(wrongs) and wrong(place)
            report.unchecked += sum(not self._recount.covers(bucket) for _, bucket in bunch)
            done += len(bunch)
            told(done, len(places))
        report.since = {kind: self._recount.first(kind) for kind in KINDS}
        report.failed = dict(self._recount.failures)
        return report

    def _begin(self) -> None:
        """Fold all there is; a summary that has counted nothing yet has no counters to look at."""
        site = self._recount.site
        names = [keys.cursor(site), keys.forgotten(site), keys.rewrite(site)]

        def ask() -> list[Any]:
            pipe = self._redis.pipeline(transaction=True)
            pipe.hgetall(names[0])
            pipe.get(names[1])
            pipe.exists(names[2])
            return list(pipe.execute())

        found, removal, is_removing = undisturbed(self._redis, names, ask)
        if is_removing and removal != self._removal:
            raise Unsettled(
                f"hitwall forget is at work in {site}, or was ended: run this again when it is done."
            )
        self._removal = removal or b""
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
                key = keys.parse(name)
                if key and key.summary in self._names:
                    places[key.summary, key.bucket] = None
        return self._alive(places)

    def _alive(self, places: Iterable[Place]) -> list[Place]:
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
            place: list(differences(place, labels, self._recount.sums.get(place, {})))
            for place, labels in counted.items()
            if self._recount.covers(place[1])
        }

    def _read(self, places: list[Place]) -> dict[Place, Tallies]:
        """What is counted there, with the recount led to the cursors of that moment."""
        names = [keys.counter(self._recount.site, measure, *at) for at in places for measure in keys.MEASURES]
        names.insert(0, keys.cursor(self._recount.site))

        def ask() -> list[Any]:
            pipe = self._redis.pipeline(transaction=True)
            for name in names:
                pipe.hgetall(name)
            return list(pipe.execute())

        cursors, *hashes = undisturbed(self._redis, names, ask)
        self._recount.catch_up(self._cursors(cursors))
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        return {place: tallies_of(*pair) for place, pair in zip(places, pairs, strict=True)}

    def _mend(self, place: Place) -> bool:
        """Swap that counter, if it is not out of the log by now; True where it is left."""
        if self._recount.failures[place[0]]:
            return True
        for _ in range(TRIES):
            if not self._recount.covers(place[1]) or self._swapped(place):
                return False
            self._lead()
        raise Unsettled(
            f"The counters of {self._recount.site} move on faster than they can be mended: "
            "run hitwall recount again when there is less traffic. What is mended stays so."
        )

    def _lead(self) -> None:
        """The recount on to where the cursors are: a large counter takes longer to read than they rest."""
        found = cast(Any, self._redis.hgetall(keys.cursor(self._recount.site)))
        self._recount.catch_up(self._cursors(found))

    def _swapped(self, place: Place) -> bool:
        name, bucket = place
        site, tallies = self._recount.site, self._recount.sums.get(place, {})
        head = [name, self._recount.positions[name], self._recount.calendar.expires(bucket) or 0]
        numbers = [[pair[n] for pair in tallies.values()] for n in (0, 1)]
        packed = msgpack.packb([*head, list(tallies), *numbers, self._removal], use_bin_type=False)
        counters = [keys.counter(site, measure, name, bucket) for measure in keys.MEASURES]
        places = [keys.cursor(site), keys.live(site), *counters, keys.forgotten(site)]
        swapped = cast(int, self._swap(keys=places, args=[packed]))
        if swapped < 0:
            raise Unsettled(f"Somebody was removed from {site} by hitwall forget meanwhile: start again.")
        return bool(swapped)
