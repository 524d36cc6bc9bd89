"""Hits -> sums. Pure: no Redis, no clock."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from summaries.alike import Sample, Together, together
from summaries.buckets import Calendar, Names
from summaries.hooks import Hook
from summaries.looks import Look, look_of
from summaries.tally import OTHER
from tracker.hit import Hit, cut

MAX_LABEL = 512  # bytes
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
    for buckets, everybody in together(hits, calendar):
        run = Run(buckets, {name: {} for name in hooks})
        people = _people(everybody, apart)
        for whose, asked in (everybody, every), (people, others):
            for look, named in asked.items():
                _ask(named, whose.samples(look), run, sums)
        _note_active(people, sums)
        sums.runs.append(run)
        sums.people += people.hits
    return sums


def _people(everybody: Together, apart: Callable[[Hit], bool]) -> Together:
    """Those that are not kept apart."""
    if apart is nobody:
        return everybody
    seen = everybody.seen(look_of(apart) or id)
    alone = {what for what, hit in dict(zip(seen, everybody.hits, strict=True)).items() if apart(hit)}
    return everybody.where([what not in alone for what in seen]) if alone else everybody


def _note_active(people: Together, sums: Sums) -> None:
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
