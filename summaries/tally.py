"""What is known of one counter: the labels that matter, and how many there are. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

OTHER = "(other)"  # where the hits of labels beyond the cap are counted
SHOWN = 10  # labels of a top list

Row = tuple[str, int, int]  # label, hits, bytes


@dataclass
class Tally:
    """The `most` labels of a counter with the most hits, in totals; all of them where most is None."""

    most: int | None = SHOWN
    distinct: int = 0  # labels without (other)
    capped: bool = False
    rows: dict[str, Row] = field(default_factory=dict)

    def update(self, rows: Iterable[Row]) -> None:
        """Take new totals. Counts only grow, so nobody outside old top and news can be in the new top."""
        for row in rows:
            self.rows[row[0]] = row
        if self.most is not None and len(self.rows) > self.most:
            self.rows = {row[0]: row for row in self.top()}

    def top(self) -> list[Row]:
        """Most hits first, equals by label."""
        return sorted(self.rows.values(), key=lambda row: (-row[1], row[0]))[: self.most]

    def hits(self) -> int:
        return sum(row[1] for row in self.rows.values())

    def bytes(self) -> int:
        return sum(row[2] for row in self.rows.values())


def tally_of(hits: Mapping[bytes, bytes], sizes: Mapping[bytes, bytes], most: int | None = SHOWN) -> Tally:
    """The tally of two hashes as Redis answers them. Raises ValueError where a value is no number."""
    capped = OTHER.encode() in hits
    tally = Tally(most, len(hits) - capped, capped)
    tally.update(
        (label.decode(errors="replace"), int(n), int(sizes.get(label, 0))) for label, n in hits.items()
    )
    return tally
