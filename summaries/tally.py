"""What is known of one counter: the labels that matter, and how many there are. Pure."""

from collections.abc import Iterable

OTHER = "(other)"  # where the hits of labels beyond the cap are counted
SHOWN = 10  # labels of a top list

Row = tuple[str, int, int]  # label, hits, bytes


class Tally:
    """The `most` labels of a counter with the most hits, in totals; all of them where most is None.

    What a frame asks of it takes no longer for ten thousand labels than for ten.
    """

    def __init__(self, most: int | None = SHOWN, distinct: int = 0, capped: bool = False) -> None:
        self.distinct = distinct  # labels without (other)
        self.capped = capped
        self.rows: dict[str, Row] = {}
        self._most = most
        self._first = self if most is not None else Tally(SHOWN)
        self._hits = self._bytes = 0  # of the rows

    def update(self, rows: Iterable[Row]) -> None:
        """Take new totals. Counts only grow, so nobody outside old top and news can be in the new top."""
        rows = list(rows)
        for row in rows:
            label, hits, size = row
            had = self.rows.get(label)
            self._hits += hits - had[1] if had else hits
            self._bytes += size - had[2] if had else size
            self.rows[label] = row
        if self._most is None:
            self._first.update(rows)
        elif len(self.rows) > self._most:
            for label, hits, size in self._sorted()[self._most :]:
                del self.rows[label]
                self._hits -= hits
                self._bytes -= size

    def top(self) -> list[Row]:
        """Most hits first, equals by label; SHOWN of them where it has all."""
        return self._first._sorted()

    def _sorted(self) -> list[Row]:
        return sorted(self.rows.values(), key=lambda row: (-row[1], row[0]))

    def hits(self) -> int:
        """Of the labels that it has."""
        return self._hits

    def bytes(self) -> int:
        return self._bytes
