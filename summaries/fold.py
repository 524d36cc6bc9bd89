"""Hits -> sums. Pure: no Redis, no clock."""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import compress, repeat
from typing import Any

from summaries.buckets import Calendar, Names
from summaries.hooks import Hook, Look, look_of, minute_of
from summaries.tally import OTHER
from tracker.hit import Hit, cut

MAX_LABEL = 512  # bytes
MINUTE = timedelta(minutes=1)
NEVER = datetime.min.replace(tzinfo=UTC)
BOT = "bot"  # the summary that counts the hits that are kept apart

Tallies = dict[str, list[int]]  # label -> [hits, bytes], labels in the order first seen


@dataclass
class Run:
    """The sums of consecutive hits that fall in the same hour, and so in the same day and month."""

    buckets: Names
    sums: dict[str, Tallies]  # summary -> its tallies


@dataclass(frozen=True)
class Share:
    """Sums that some buckets have in common."""

    buckets: list[str]
    sums: dict[str, Tallies]  # summary -> its tallies


@dataclass
class Sums:
    """What a batch adds."""

    people: list[Hit] = field(default_factory=list)  # those not kept apart
    runs: list[Run] = field(default_factory=list)
    active: dict[datetime, set[str]] = field(default_factory=dict)  # minute -> visitors
    errors: dict[str, Exception] = field(default_factory=dict)  # hook -> the last it raised
    failures: Counter[str] = field(default_factory=Counter)  # hook -> hits it did not count


def shares(runs: Sequence[Run]) -> list[Share]:
    """The sums of each bucket of these runs, each bucket once.

    Labels stand in the order in which the bucket saw them first: whether one is among the first that
    fit under the cap does not depend on how hits were batched.
    """
    parts: dict[str, list[int]] = {}  # bucket -> its runs
    for place, run in enumerate(runs):
        for bucket in run.buckets:
            parts.setdefault(bucket, []).append(place)
    together: dict[tuple[int, ...], list[str]] = {}
    for bucket, places in parts.items():
        together.setdefault(tuple(places), []).append(bucket)
    return [
        Share(buckets, runs[places[0]].sums if len(places) == 1 else _merged([runs[p].sums for p in places]))
        for places, buckets in together.items()
    ]


def _merged(sums: Sequence[Mapping[str, Tallies]]) -> dict[str, Tallies]:
    whole: dict[str, Tallies] = {name: {} for name in sums[0]}
    for part in sums:
        for name, tallies in part.items():
            into = whole[name]
            for label, (hits, size) in tallies.items():
                tally = into.setdefault(label, [0, 0])
                tally[0] += hits
                tally[1] += size
    return whole


def nobody(hit: Hit) -> bool:
    """Keeps no hit apart."""
    return False


def fold(
    hits: Iterable[Hit],
    hooks: Mapping[str, Hook],
    calendar: Calendar,
    apart: Callable[[Hit], bool] = nobody,
) -> Sums:
    """The sums of these hits. A hook that raises loses its own count of that hit and no more.

    Hits that are kept apart count in the summary `bot` and nowhere else.
    """
    sums = Sums()
    every = _alike({name: hook for name, hook in hooks.items() if name == BOT})
    others = _alike({name: hook for name, hook in hooks.items() if name != BOT})
    for buckets, together in _together(hits, calendar):
        run = Run(buckets, {name: {} for name in hooks})
        people = _people(together, apart)
        for whose, asked in (together, every), (people, others):
            for look, named in asked.items():
                _ask(named, whose.samples(look), run, sums)
        _note_active(people, sums)
        sums.runs.append(run)
        sums.people += people.hits
    return sums


Sample = Sequence[Any]  # a hit, how many are like it, and their bytes


@dataclass
class _Hits:
    """Consecutive hits, and the minute (UTC) of each."""

    hits: list[Hit] = field(default_factory=list)
    minutes: list[datetime] = field(default_factory=list)

    @cached_property
    def sizes(self) -> list[int]:
        return [hit.bytes for hit in self.hits]

    def seen(self, look: Look) -> list[Any]:
        """What each of them is to a hook that looks at this."""
        return self.minutes if look is minute_of else list(map(look, self.hits))

    def samples(self, look: Look | None) -> Collection[Sample]:
        """One of all that look the same, in the order first seen; without a look each for itself."""
        if not self.hits:
            return ()
        if look is None:
            return list(zip(self.hits, repeat(1), self.sizes))
        seen = self.seen(look)
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


def _together(hits: Iterable[Hit], calendar: Calendar) -> Iterator[tuple[Names, _Hits]]:
    """Consecutive hits of the same buckets. Most fall in the minute of the one before."""
    minute = end = NEVER
    buckets, found = None, _Hits()
    for hit in hits:
        if not minute <= hit.at < end:
            minute = minute_of(hit)
            end = minute + MINUTE
            names = calendar.names(minute)
            if buckets and names != buckets:
                yield buckets, found
                found = _Hits()
            buckets = names
        found.hits.append(hit)
        found.minutes.append(minute)
    if buckets:
        yield buckets, found


def _people(together: _Hits, apart: Callable[[Hit], bool]) -> _Hits:
    """Those that are not kept apart."""
    if apart is nobody:
        return together
    seen = list(together.seen(look_of(apart) or id))
    alone = {what for what, hit in dict(zip(seen, together.hits, strict=True)).items() if apart(hit)}
    if not alone:
        return together
    kept = [what not in alone for what in seen]
    return _Hits(list(compress(together.hits, kept)), list(compress(together.minutes, kept)))


def _note_active(people: _Hits, sums: Sums) -> None:
    for minute, hit in zip(people.minutes, people.hits, strict=True):
        if hit.visitor:
            sums.active.setdefault(minute, set()).add(hit.visitor)


def _alike(hooks: Mapping[str, Hook]) -> dict[Look | None, dict[str, Hook]]:
    """Those that look at the same come together."""
    alike: dict[Look | None, dict[str, Hook]] = {}
    for name, hook in hooks.items():
        alike.setdefault(look_of(hook), {})[name] = hook
    return alike


def _ask(hooks: Mapping[str, Hook], samples: Collection[Sample], run: Run, sums: Sums) -> None:
    for name, hook in hooks.items():
        tallies = run.sums[name]
        for hit, hits, size in samples:
            try:
                for label in _each(hook(hit)):
                    tally = tallies.get(label)
                    if tally is None:
                        tallies[label] = [hits, size]
                    else:
                        tally[0] += hits
                        tally[1] += size
            except Exception as error:  # whoever wrote it
                sums.errors[name] = error
                sums.failures[name] += hits


def _each(labels: str | Iterable[str] | None) -> Collection[str]:
    """Whole labels first: a generator that raises half-way must not have counted half."""
    if labels is None:
        return ()
    if isinstance(labels, str):
        label = _label(labels)
        return (label,) if label else ()
    return [label for label in dict.fromkeys(map(_label, labels)) if label]


def _label(text: str) -> str:
    """What fits in a field: valid UTF-8 of at most MAX_LABEL bytes, and not what stands for the rest."""
    if text == OTHER:
        return "other"
    if text.isascii():
        return text[:MAX_LABEL]
    return cut(text.encode(errors="replace").decode(), MAX_LABEL)
