"""Lines of a log into hits of a site, and a tally of what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from tracker.addresses import Addresses
from tracker.fields import printable
from tracker.hit import BadHit, Hit
from tracker.log_hits import parse
from tracker.log_lines import MAX_LINE
from tracker.settings import Settings
from tracker.visitors import Visitors

EXAMPLE = 200  # characters of a refused line that are shown


@dataclass
class Refused:
    """Lines refused for the same reason."""

    count: int
    example: str  # the first of them, without control characters


@dataclass
class Tally:
    """What an import has done with one log."""

    lines: int = 0  # read, without empty ones
    hits: int = 0  # stored
    known: int = 0  # lines that an earlier import, or another process, has read
    refused: dict[str, Refused] = field(default_factory=dict)  # by reason: few
    old: dict[str, int] = field(default_factory=dict)  # kind of bucket -> hits too old for it
    unfinished: bool = False  # the last line has no end yet and is left for the next time

    def refuse(self, reason: str, text: str) -> None:
        if reason in self.refused:
            self.refused[reason].count += 1
        else:
            self.refused[reason] = Refused(1, printable(text[:EXAMPLE]))

    def add(self, other: "Tally") -> None:
        """Add what another batch has done."""
        self.lines += other.lines
        self.hits += other.hits
        self.known += other.known
        for reason, refused in other.refused.items():
            known = self.refused.setdefault(reason, Refused(0, refused.example))
            known.count += refused.count
        for kind, hits in other.old.items():
            self.old[kind] = self.old.get(kind, 0) + hits


@dataclass(frozen=True)
class LogReader:
    """Makes hits of lines, as the settings say. `oldest`: kind of bucket -> what is older counts in none."""

    site: str
    visitors: Visitors
    oldest: Mapping[str, datetime] = field(default_factory=dict)
    addresses: Addresses = field(default_factory=lambda: Addresses(Settings()))

    def read(self, lines: list[bytes], now: datetime) -> tuple[list[Hit], Tally]:
        """The hits of these lines, and a tally of them."""
        hits, tally = [], Tally()
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            if text.strip():
                tally.lines += 1
                try:
                    hits.append(self._hit(text, len(line), now))
                except BadHit as bad:
                    tally.refuse(bad.reason, text)
        tally.hits = len(hits)
        tally.old = {kind: sum(hit.at < old for hit in hits) for kind, old in self.oldest.items()}
        return hits, tally

    def _hit(self, text: str, size: int, now: datetime) -> Hit:
        if size > MAX_LINE:
            raise BadHit("too long", f"a line has at most {MAX_LINE} bytes")
        hit = parse(text, self.site, now)
        if self.visitors.mode == "hash":
            hit = msgspec.structs.replace(hit, visitor=self.visitors.hashed(hit))
        return self.addresses.kept(hit)
