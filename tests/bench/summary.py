"""The summary at the top of the page: every figure that has an aim, and whether it is reached."""

import re
from collections.abc import Iterator
from itertools import cycle, groupby

from tests.bench.report import MORE, UNKNOWN, Cells, Part, table

HEAD: Cells = ("", "measured", "aim", "")
REACHED = "reached"
UNITS = {"µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "%": 0.01}
NUMBER = re.compile(r"([+-]?[\d,]*\.?\d+)(?:\s?(?:(µs|ms|s|min|B|kB|MB|GB)\b|(%)))?")
BRACKETS = re.compile(r"\s*\(.*?\)")
HOLDS = {
    "≥": lambda figure, aim: figure >= aim,
    "≤": lambda figure, aim: figure <= aim,
    "<": lambda figure, aim: figure < aim,
    "=": lambda figure, aim: figure == aim,
}


def summary(parts: dict[str, Part | str]) -> str:
    """A table of the parts' aims; a part that could not be measured is given as the reason why.

    Of rows that belong to the same one above, it has the first that is not reached, else the last.
    """
    rows = [row for name, part in parts.items() for row in _rows(name, part)]
    return table(HEAD, rows)


def _rows(name: str, part: Part | str) -> Iterator[Cells]:
    if isinstance(part, str):
        yield f"{name}: all of it", UNKNOWN, "", "not measured"
        return
    told = [(*row, verdict(*row[1:])) for row in part.aimed()]
    for _, group in groupby(told, lambda row: row[0].partition(f" {MORE}")[0]):
        rows = list(group)
        what, *rest = next((row for row in rows if row[3] != REACHED), rows[-1])
        small = what if what[1:2].isupper() else what[0].lower() + what[1:]  # CPU stays CPU
        yield f"{part.title}: {small}", *rest


def verdict(figure: str, aim: str) -> str:
    """`reached`, `missed`, `not measured` where the figure holds no number, a dash where the aim holds none.

    Both are read as a person reads them: `31,602 (28,565 to 34,527)` against `≥ 25,000`, `0.3 s` against
    `≤ 200 ms`, `0 of 900` against `0`, `1.2 ms, 3 ms` against one aim or as
    many, `1.4` against `1 to 4`.
    """
    figures = [_number(one) for one in BRACKETS.sub("", figure).split(", ")]
    wanted = [_bounds(one) for one in aim.split(", ")]
    if None in figures or None in wanted:
        return "not measured" if None in figures else UNKNOWN
    pairs = zip(figures, cycle(wanted), strict=False)
    held = [all(HOLDS[sign](value, bound) for sign, bound in bounds or ()) for value, bounds in pairs]
    return REACHED if all(held) else "missed"


def _bounds(aim: str) -> list[tuple[str, float]] | None:
    """What has to hold for `≤ 4`, `0` or `1 to 4`: signs and numbers; None where there is no number."""
    low, _, high = aim.partition(" to ")
    signs = "≥≤" if high else aim[0] if aim[:1] in HOLDS else "="
    numbers = [_number(text) for text in ([low, high] if high else [low])]
    return [(sign, n) for sign, n in zip(signs, numbers, strict=True) if n is not None] or None


def _number(text: str) -> float | None:
    """The first number of the text, in seconds, bytes or one; None where there is none."""
    found = NUMBER.search(text)
    if not found:
        return None
    value = float(found[1].replace(",", "")) * UNITS.get(found[2] or found[3], 1.0)
    return round(value, 12)  # 20 kB are 20,000 B, not a billionth more
