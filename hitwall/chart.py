"""The chart of a bucket: a column of blocks for each point, the bucket before faint behind. Pure."""

from collections.abc import Sequence
from itertools import zip_longest

from rich.text import Text

from hitwall.bars import EIGHTHS, UP, column
from hitwall.wording import short

NOW, BEFORE, AXIS = "cyan", "bright_black", "dim"
FAINT = "░"
GAP_FROM = 3  # columns for a point, where one of them stays free
TICKS = {"hour": 15, "day": 6, "month": 5}  # points between two that are named
POINTS = {"hour": 60, "day": 24, "month": 31}

Series = Sequence[Sequence[object]]  # label, hits


def chart(bucket: str, now: Series, before: Series, size: tuple[int, int]) -> list[Text]:
    """`height` lines of `width` cells, and one more that names points."""
    width, height = size
    kind = bucket.partition(":")[0]
    present, past = _hits(now), _hits(before)
    most = max([*present, *past, 1])
    scale = f"{short(most)} "
    places = _places(width - len(scale), POINTS[kind])
    pairs = list(zip_longest(present, past, fillvalue=0))[: POINTS[kind]]
    columns = [(column(hits / most, height), column(was / most, height)) for hits, was in pairs]
    lines = [_row(columns, row, places) for row in range(height)]
    margins = [scale, *[" " * len(scale)] * (height - 1)]
    return [
        *(Text(margin, AXIS).append_text(line) for margin, line in zip(margins, lines, strict=True)),
        Text(" " * len(scale) + _names(bucket, places), AXIS),
    ]


def _hits(series: Series) -> list[int]:
    return [int(str(hits)) for _, hits in series]


def _places(room: int, points: int) -> list[int]:
    """Where the column of each point begins, and where the last one ends."""
    if room // points >= GAP_FROM:
        return [place * (room // points) for place in range(points + 1)]
    return [place * room // points for place in range(points + 1)]


def _row(columns: Sequence[tuple[list[int], list[int]]], row: int, places: Sequence[int]) -> Text:
    line = Text(no_wrap=True)
    for (present, past), begin, end in zip(columns, places, places[1:], strict=False):
        gap = 1 if end - begin >= GAP_FROM else 0
        if present[row]:
            line.append(UP[present[row]] * (end - begin - gap), NOW)
        else:  # of the bucket before whole cells: a faint one is told from a half one
            line.append((FAINT if past[row] >= EIGHTHS // 2 else " ") * (end - begin - gap), BEFORE)
        line.append(" " * gap)
    return line


def _names(bucket: str, places: Sequence[int]) -> str:
    """The names of some points, each where its column begins."""
    kind, _, name = bucket.partition(":")
    line = ""
    for place in range(0, POINTS[kind], TICKS[kind]):
        named = {"hour": f"{name[-2:]}:{place:02}", "day": f"{place:02}:00", "month": str(place + 1)}[kind]
        line = line.ljust(places[place]) + named
    return line
