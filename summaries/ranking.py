"""Wish: which rows of a summary are wanted, in which order; `choose` picks them from merged counters."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from summaries.figures import Row, Total
from summaries.tally import OTHER
from summaries.turns import CHUNK, paused, rest

MOST_ROWS = 10_000  # of a page; as many labels as a counter holds unless HITWALL_MAX_LABELS says more

Order = Literal["hits", "bytes", "label"]


@dataclass(frozen=True)
class Wish:
    """Page by page `limit` rows, most hits or bytes first or by label, of labels that hold `search`."""

    limit: int = 10  # 1 up to MOST_ROWS
    page: int = 1
    order: Order = "hits"
    search: str = ""  # in any letter case


@dataclass
class Merged:
    """The counters of several buckets added up, label -> hits and label -> bytes."""

    hits: dict[bytes, int] = field(default_factory=dict)
    sizes: dict[bytes, int] = field(default_factory=dict)

    def add(self, hits: Mapping[bytes, bytes], sizes: Mapping[bytes, bytes]) -> None:
        """One bucket more, as Redis answers it."""
        for sums, found in ((self.hits, hits), (self.sizes, sizes)):
            for label, number in paused(found.items()):
                sums[label] = sums.get(label, 0) + int(number)

    @property
    def capped(self) -> bool:
        return OTHER.encode() in self.hits

    @property
    def total(self) -> Total:
        return Total(sum(self.hits.values()), sum(self.sizes.values()), len(self.hits) - self.capped)

    def row(self, label: bytes) -> Row:
        return Row(label.decode(errors="replace"), self.hits[label], self.sizes.get(label, 0))


def choose(merged: Merged, wish: Wish) -> tuple[int, list[Row]]:
    """How many rows match, and those of the wished page; equals are in order of their labels."""
    needle = wish.search.casefold()
    key = _key(merged, wish.order)
    last = wish.page * wish.limit
    matching, runs = 0, []
    for chunk in _chunks(merged.hits):
        found = [
            key(label) for label in chunk if not needle or needle in label.decode(errors="replace").casefold()
        ]
        matching += len(found)
        runs.append(sorted(found)[:last])  # UTF-8 sorts as its characters do
        rest()
    ranked = paused(heapq.merge(*runs))
    chosen = list(islice(ranked, last - wish.limit, last))
    return matching, [merged.row(label) for *_, label in paused(chosen)]


def _key(merged: Merged, order: Order) -> Callable[[bytes], tuple[Any, ...]]:
    """What sorts a label; it ends with the label."""
    if order == "label":
        return lambda label: (label,)
    sums = merged.hits if order == "hits" else merged.sizes
    return lambda label: (-sums.get(label, 0), label)


def _chunks(labels: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = iter(labels)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
