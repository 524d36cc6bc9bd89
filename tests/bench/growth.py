"""Growth: what a hit, a frame and a start cost with little data and with much, and what memory data takes."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from tests.bench.filled import Filled, filled
from tests.bench.report import Part, Row, median
from tests.bench.starts import loading, starts
from tests.bench.stored import bytes_taken
from tests.bench.traffic import SITE, Visit, hits

BASE = 10_000  # hits in the log that the others are compared with
LOGS = (100_000, 1_000_000, 10_000_000)
ALONE = 0  # stands for a log of BASE hits, too: alone in its Redis
ROOM = 700  # bytes of memory for each hit of a log: what it takes, and as much again of the rest
FEW = 10  # labels in every counter that the others are compared with
LABELS = (100, 1_000, 10_000)
ROUNDS = 15
ONCE = 2_000  # hits of a round
MADE = 20_000  # different ones that a log is filled with
AIM = "≤ 1.10"

READING = f"""\
Where it says *times*, the same work costs that many times as much as in the first row of its kind, in CPU
time of client and Redis together: medians of {ROUNDS} rounds in turns, in brackets the smallest and the
largest. In each round {ONCE:,} hits are appended and counted, what a wall shows of the day is read and drawn,
and as many of the oldest hits are forgotten. Long and short log are in the same Redis; beside ten million
hits ({ROOM * LOGS[-1] / 1e9:.0f} GB of free memory are needed, or their rows are missing) a short one costs
more than alone in a Redis that fits into the processor's cache. Labels are those that the counters of hour,
day and month hold of every summary, while hits of at most {FEW} pages and {FEW} people are counted. What a
wall shows is picked from all labels, in Redis, when the first opens it. A start is over when `/readyz` says
so, or when a hit is counted that waited; its log is the longest of this table."""

Costs = dict[str, list[float]]  # what -> CPU seconds of one, of each round


def measure(plan: list[Visit], folder: Path) -> Part:
    """Logs, labels, starts, memory."""
    made = list(hits(plan, MADE, datetime.now(UTC)))
    with ExitStack() as stack:
        alone, long = (stack.enter_context(filled(SITE)) for _ in range(2))
        short = Filled(long.server, long.redis, "short.example")
        for place in (alone, short):
            place.log(made, BASE)
        tables = {}
        for size in filter(_fits, LOGS):
            long.log(made, size)
            tables[size] = _compared({ALONE: alone, BASE: short, size: long}, plan)
        rows = [row for what in WORDS for row in _rows(what, "hits in the log", BASE, tables)]
        rows += _crowded(tables) + starts(alone, long)
    with filled(SITE) as one:
        sites = {labels: Filled(one.server, one.redis, f"with-{labels}.example") for labels in (FEW, *LABELS)}
        for labels, site in sites.items():
            site.label(labels)
        costs = _compared(sites, plan[:FEW])
        tables = {labels: {FEW: costs[FEW], labels: costs[labels]} for labels in LABELS}
        rows += [
            row for what in ("hit", "frame") for row in _rows(what, "labels in each counter", FEW, tables)
        ]
        rows += [_reading(labels, found["read"]) for labels, found in costs.items()]
    return Part("Growth", READING, rows + loading(made, folder) + bytes_taken(plan))


WORDS = {
    "hit": ("Append and count a hit", ".1f", " µs", 1e6, AIM),
    "frame": ("Draw a frame", ".0f", " µs", 1e6, AIM),
    "read": ("Read what a wall shows", ".1f", " ms", 1e3, AIM),
    "forget": ("Forget a hit", ".1f", " µs", 1e6, AIM),
}


def _fits(size: int) -> bool:
    """Whether there is memory for a log of so many hits."""
    rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return size * ROOM < int(rows["MemAvailable"].split()[0]) * 1024


def _compared(places: Mapping[int, Filled], plan: Sequence[Visit]) -> dict[int, Costs]:
    """The same rounds at each of the places, in turns; the first of them warms up."""
    found: dict[int, Costs] = {size: {what: [] for what in WORDS} for size in places}
    for number in range(ROUNDS + 1):
        for size in sorted(places, reverse=number % 2 == 0):
            costs = _round(places[size], plan)
            for what, cost in costs.items():
                found[size][what] += [cost] if number else []
    return found


def _round(place: Filled, plan: Sequence[Visit]) -> dict[str, float]:
    """CPU seconds of one of each kind of work."""
    kept = place.raw.length(place.site)
    some = list(islice(hits(list(plan), ONCE, datetime.now(UTC), per_second=ONCE), ONCE))
    stored = place.append(some) + place.count(ONCE)
    read, frame = place.read(), place.draw()
    return {"hit": stored, "read": read, "frame": frame, "forget": place.forget(kept)}


def _rows(what: str, of: str, base: int, tables: Mapping[int, Mapping[int, Costs]]) -> list[Row]:
    """What it costs at the base, and how many times that elsewhere, round by round."""
    words, form, unit, factor, aim = WORDS[what]
    first = next(iter(tables.values()))[base][what]
    rows = [(f"{words}, {base:,} {of}", median([cost * factor for cost in first], form, unit), "")]
    for size, costs in tables.items():
        pairs = zip(costs[size][what], costs[base][what], strict=True)
        ratios = median([cost / before for cost, before in pairs], ".2f", " times")
        rows.append((f"… {size:,}", ratios, aim))
    return rows


def _crowded(tables: Mapping[int, Mapping[int, Costs]]) -> list[Row]:
    """What the memory that others take does to a short log."""
    size, costs = max(tables.items())
    pairs = zip(costs[BASE]["hit"], costs[ALONE]["hit"], strict=True)
    ratios = median([cost / alone for cost, alone in pairs], ".2f", " times")
    return [(f"… {BASE:,}, beside a log of {size:,} / alone in its Redis", ratios, "")]


def _reading(labels: int, costs: Sequence[float]) -> Row:
    times = median([cost * 1000 for cost in costs], ".1f", " ms")
    return f"Read what a wall shows, {labels:,} labels in each counter", times, ""
