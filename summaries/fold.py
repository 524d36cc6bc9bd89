"""Hits -> sums. Pure: no Redis, no clock."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from summaries.buckets import Calendar, Names
from summaries.hooks import Hook
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

    hits: int = 0  # without those kept apart
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
    run: Run | None = None
    alone = {BOT: hooks[BOT]} if BOT in hooks else {}
    for hit in hits:
        buckets = calendar.names(hit.at)
        if run is None or run.buckets != buckets:
            run = Run(buckets, {name: {} for name in hooks})
            sums.runs.append(run)
        kept_apart = apart(hit)
        _ask(alone if kept_apart else hooks, hit, run, sums)
        if not kept_apart:
            sums.hits += 1
            if hit.visitor:
                minute = hit.at.astimezone(UTC).replace(second=0, microsecond=0)
                sums.active.setdefault(minute, set()).add(hit.visitor)
    return sums


def _ask(hooks: Mapping[str, Hook], hit: Hit, run: Run, sums: Sums) -> None:
    for name, hook in hooks.items():
        try:
            labels = hook(hit)
            if labels is None:
                continue
            tallies = run.sums[name]
            tally = tallies.get(labels) if type(labels) is str else None
            if tally is None:
                _count(tallies, labels, hit.bytes)
            else:  # a label seen before is a clean one
                tally[0] += 1
                tally[1] += hit.bytes
        except Exception as error:
            sums.errors[name] = error
            sums.failures[name] += 1


def _count(tallies: Tallies, labels: str | Iterable[str], size: int) -> None:
    for label in _each(labels):
        tally = tallies.get(label)
        if tally is None:
            tallies[label] = [1, size]
        else:
            tally[0] += 1
            tally[1] += size


def _each(labels: str | Iterable[str]) -> Sequence[str]:
    """Whole labels first: a generator that raises half-way must not have counted half."""
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
