"""How results read: parts with one table each, as text and as Markdown."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Row = tuple[str, str, str]  # what, figure, aim
Cells = tuple[str, ...]  # a row of a table with another head
HEAD: Row = ("", "measured", "aim")
UNKNOWN = "—"
MORE = "…"  # begins the name of a row that belongs to the one above


class Lacking(RuntimeError):
    """This machine has not what a part needs; the message says what and how much of it."""


@dataclass(frozen=True)
class Part:
    """One benchmark's results, and a sentence how to read them.

    `aims` are figures with an aim for the summary at the top of the page; of a table under HEAD they are
    its rows that have one. `more` follows the table, as Markdown.
    """

    title: str
    reading: str
    rows: Sequence[Cells]
    head: Cells = HEAD
    aims: Sequence[Row] = ()
    more: str = ""

    def text(self) -> str:
        """A table in plain text, columns aligned."""
        rows = [*([] if self.head == HEAD else [self.head]), *self.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
        return "\n".join([self.title, *(f"  {line.rstrip()}" for line in lines)])

    def markdown(self) -> str:
        text = f"## {self.title}\n\n{self.reading}\n\n{table(self.head, self.rows)}\n"
        return text + (f"\n{self.more}\n" if self.more else "")

    def aimed(self) -> list[Row]:
        """What, figure, aim of every figure that has one; `… p99` goes with the name above it."""
        found, above = list(self.aims), ""
        for what, figure, aim in self.rows if self.head == HEAD else []:
            above = above if what.startswith(MORE) else what
            if aim and not self.aims:
                found.append((what if what == above else f"{above} {what}", figure, aim))
        return found


def table(head: Cells, rows: Sequence[Cells]) -> str:
    """As Markdown; all columns but the first are to the right."""
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def median(values: Sequence[float], form: str = ",.0f", unit: str = "") -> str:
    """The median, and between what the single runs lay: `6,210 (5,980 to 6,400)`."""
    middle, low, high = (format(v, form) for v in (statistics.median(values), min(values), max(values)))
    spread = f" ({low} to {high})" if low != high else ""
    return f"{middle}{unit}{spread}"


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of values in order: the smallest that is not below this share of them."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 0.01 else f"{seconds * 1000:,.0f} ms"


def mb(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"
