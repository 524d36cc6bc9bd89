"""What a summary counts, bucket by bucket, as get_sum asks: from the hits themselves. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from summaries.buckets import KINDS
from summaries.chosen import Chosen
from summaries.fold import Tallies, fold, shares
from summaries.spans import BadQuestion
from summaries.stretch import Stretch
from tracker.hit import Hit

CHUNK = 1000  # hits folded at once
MOST_LABELS = 500_000  # held for one answer, in all its buckets; some 150 MB


@dataclass
class Held:
    """The tables of one kind of bucket, without those up to `closed`, which nobody wants."""

    tables: dict[str, Tallies] = field(default_factory=dict)
    closed: str = ""

    def add(self, bucket: str, tallies: Tallies, target: str | None) -> None:
        """Of these labels all, or the one that is wanted."""
        wanted = tallies if target is None else {target: tallies[target]} if target in tallies else {}
        if bucket > self.closed and wanted:
            table = self.tables.setdefault(bucket, {})
            for label, (hits, size) in wanted.items():
                tally = table.setdefault(label, [0, 0])
                tally[0] += hits
                tally[1] += size

    def close(self, bucket: str, enough: int) -> bool:
        """Whether there are enough rows without this bucket and those before it; then they go."""
        newer = {name: table for name, table in self.tables.items() if name > bucket}
        if not self.closed and sum(map(len, newer.values())) >= enough:
            self.closed, self.tables = bucket, newer
        return bool(self.closed)


def folded(
    hits: Iterable[Hit], summary: str, picked: Chosen, stretch: Stretch, wanted: tuple[str | None, int]
) -> dict[str, list[tuple[str, Tallies]]]:
    """Kind -> buckets and their label -> [hits, bytes], the newest first, of hits that come the newest first.

    `wanted` is a label, None for all, and how many rows of a kind, 0 for all; no more hits are read than
    that takes. Raises BadQuestion where more than MOST_LABELS would be held.
    """
    target, enough = wanted
    held = {kind: Held() for kind in KINDS}
    hooks = {summary: picked.hooks[summary]}
    for chunk in _chunks(hits):
        for share in shares(fold(chunk, hooks, stretch.calendar, picked.apart).runs):
            for bucket in filter(stretch.has, share.buckets):
                held[bucket.partition(":")[0]].add(bucket, share.sums[summary], target)
        _bound(held)
        last = zip(held.values(), stretch.calendar.names(chunk[-1].at), strict=True)
        closed = [of.close(bucket, enough) for of, bucket in last if enough]
        if closed and all(closed):
            break
    return {kind: sorted(of.tables.items(), reverse=True) for kind, of in held.items()}


def _bound(held: dict[str, Held]) -> None:
    labels = sum(len(table) for of in held.values() for table in of.tables.values())
    if labels > MOST_LABELS:
        advice = f"ask for more than {MOST_LABELS} labels: take a shorter time, fewer rows, or a target"
        raise BadQuestion("start_date and end_date", advice)


def _chunks(hits: Iterable[Hit]) -> Iterator[list[Hit]]:
    rest = iter(hits)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
