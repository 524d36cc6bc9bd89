"""Hits that are alike: counted as one by hooks that say what they look at. Pure."""

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import compress, repeat
from typing import Any

from summaries.buckets import Calendar, Names
from summaries.looks import Look, minute_of
from tracker.hit import Hit

MINUTE = timedelta(minutes=1)
NEVER = datetime.min.replace(tzinfo=UTC)

Sample = Sequence[Any]  # a hit, how many are like it, and their bytes


@dataclass
class Together:
    """Consecutive hits, and the minute (UTC) of each."""

    hits: list[Hit] = field(default_factory=list)
    minutes: list[datetime] = field(default_factory=list)

    @cached_property
    def sizes(self) -> list[int]:
        return [hit.bytes for hit in self.hits]

    def seen(self, look: Look) -> list[Hashable]:
        """What each of them is to a hook that looks at this."""
        return [*self.minutes] if look is minute_of else list(map(look, self.hits))

    def where(self, kept: Sequence[bool]) -> "Together":
        """Some of them."""
        return Together(list(compress(self.hits, kept)), list(compress(self.minutes, kept)))

    def samples(self, look: Look | None) -> Collection[Sample]:
        """One of all that look the same, in the order first seen; without a look each for itself."""
        if look and self.hits:
            try:
                return self._alike(self.seen(look))
            except Exception:  # whoever wrote it; a look can be at what has no hash
                pass
        return list(zip(self.hits, repeat(1), self.sizes))

    def _alike(self, seen: Sequence[Hashable]) -> Collection[Sample]:
        if seen.count(seen[0]) == len(seen):  # the site, the minute; most have no event
            return [(self.hits[0], len(seen), sum(self.sizes))]
        samples: dict[Hashable, list[Any]] = {}
        for what, hit, size in zip(seen, self.hits, self.sizes, strict=True):
            sample = samples.get(what)
            if sample is None:
                samples[what] = [hit, 1, size]
            else:
                sample[1] += 1
                sample[2] += size
        return samples.values()


def together(hits: Iterable[Hit], calendar: Calendar) -> Iterator[tuple[Names, Together]]:
    """Consecutive hits of the same buckets. Most fall in the minute of the one before."""
    minute = end = NEVER
    buckets, found = None, Together()
    for hit in hits:
        if not minute <= hit.at < end:
            minute = minute_of(hit)
            end = minute + MINUTE
            names = calendar.names(minute)
            if buckets and names != buckets:
                yield buckets, found
                found = Together()
            buckets = names
        found.hits.append(hit)
        found.minutes.append(minute)
    if buckets:
        yield buckets, found
