"""How results read: parts with one table each, as text and as Markdown."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Row = tuple[str, str, str]  # what, figure, aim
HEAD: Row = ("", "measured", "aim")


@dataclass(frozen=True)
class Part:
    """One benchmark's results, and a sentence how to read them."""

    title: str
    reading: str
    rows: list[Row]

    def text(self) -> str:
        """A table in plain text, columns aligned."""
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in self.rows)
        return "\n".join([self.title, *(f"  {line.rstrip()}" for line in lines)])

    def markdown(self) -> str:
        rows = [HEAD, ("---", "---:", "---:"), *self.rows]
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        return f"## {self.title}\n\n{self.reading}\n\n{table}\n"


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
