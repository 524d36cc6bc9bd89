"""Window: which raw hits are wanted; `look` finds them, a page at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Literal

from summaries.figures import Hits, RawHit
from summaries.turns import rest
from tracker.hit import Hit
from tracker.raw import AHEAD, START, Entry, RawLog, milliseconds, order

MOST_HITS = 1_000  # of a page
SCAN_MOST = 10_000  # entries looked at for one page; `next` goes on from there
CHUNK = 250  # entries read at a stretch, some 2 ms
LAST = "+"


@dataclass(frozen=True)
class Window:
    """Hits that happened from `start` up to but not at `end`, those after the id `after` in that order,
    of one visitor or address, or of all.

    A hit's id tells when it arrived; an imported one happened long before.
    """

    start: datetime | None = None
    end: datetime | None = None
    after: str = ""
    limit: int = 100  # 1 up to MOST_HITS
    order: Literal["newest", "oldest"] = "newest"
    visitor: str = ""
    remote: str = ""  # as a hit keeps it

    def holds(self, hit: Hit) -> bool:
        """Whether the hit is wanted, `after` aside."""
        late = self.start is None or hit.at >= self.start
        is_theirs = self.visitor in ("", hit.visitor) and self.remote in ("", hit.remote)
        return late and (self.end is None or hit.at < self.end) and is_theirs

    @property
    def earliest(self) -> str:
        """An id before all of these hits."""
        return START if self.start is None else f"{max(0, milliseconds(self.start - AHEAD))}-0"


def look(raw: RawLog, site: str, window: Window) -> Hits:
    """A page of raw hits, perhaps a short one: not more than SCAN_MOST entries are looked at."""
    found: list[RawHit] = []
    scanned, last = 0, ""
    entries = _newest(raw, site, window) if window.order == "newest" else _oldest(raw, site, window)
    for last, hit in islice(entries, SCAN_MOST):
        scanned += 1
        if hit and window.holds(hit):
            if len(found) == window.limit:
                return Hits(site, found, found[-1].id)
            found.append(RawHit(last, hit))
    return Hits(site, found, last if scanned == SCAN_MOST else None)


def _newest(raw: RawLog, site: str, window: Window) -> Iterator[Entry]:
    if window.after and order(window.after) == order(START):
        return  # Redis calls that an error
    cursor = f"({window.after}" if window.after else LAST
    while entries := raw.before(site, cursor, CHUNK):
        for entry in entries:
            if order(entry[0]) < order(window.earliest):
                return
            yield entry
        cursor = f"({entries[-1][0]}"
        rest()


def _oldest(raw: RawLog, site: str, window: Window) -> Iterator[Entry]:
    cursor = max(window.after or START, window.earliest, key=order)
    while entries := raw.after(site, cursor, CHUNK):
        yield from entries
        cursor = entries[-1][0]
        rest()
