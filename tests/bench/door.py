"""The pixel door: hits stored a second, what each costs, and that none is lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bare import bare_server
from tests.bench.report import Part, Row, mb, median, ms
from tests.bench.stage import Stage, hitwall
from tests.bench.wrk import CONNECTIONS, Load, load

ROUNDS = 3
SECONDS = 6  # of load on the door, each round
BARE_SECONDS = 3
WARM_UP = 2  # seconds, before anything is measured
AIM = 10_000  # hits stored a second

READING = f"""\
wrk sends varied hits over {CONNECTIONS} keep-alive connections, as fast as they are answered; it, the web
process, the counter and Redis share this machine. Figures are medians of {ROUNDS} rounds of {SECONDS} s,
with the smallest and the largest in brackets. *Lost* is what was answered with success and is not in the
raw log or not counted, over all rounds; hits whose answer wrk did not wait for at its end are stored in
addition. The last two rows compare with a gunicorn worker that answers the same pixel and does nothing
else, measured in turns with the door: the price of HTTP alone."""


@dataclass(frozen=True)
class Round:
    """One load on the door, and after it."""

    load: Load
    stored: int
    counted: int
    cpu: dict[str, float]  # seconds by process, until all was counted

    @property
    def lost(self) -> int:
        return max(0, self.load.answers - self.load.refused - min(self.stored, self.counted))

    def cost(self, name: str) -> float:
        """CPU seconds for 1,000 hits."""
        return self.cpu[name] / self.stored * 1000


def measure(plan: Path) -> Part:
    """Door and bare worker in turns."""
    rounds: list[Round] = []
    bare: list[float] = []
    with hitwall() as stage, bare_server() as other:
        for base in (stage.base, other):
            load(base, plan, WARM_UP)
        for _ in range(ROUNDS):
            rounds.append(_round(stage, plan))
            bare.append(load(other, plan, BARE_SECONDS).rate)
        memory = stage.memory()
        hits = stage.stored()
    return Part("The pixel door", READING, _rows(rounds, bare, memory, hits))


def _round(stage: Stage, plan: Path) -> Round:
    stage.catch_up()
    stored, counted, cpu = stage.stored(), stage.counted(), stage.cpu()
    seen = load(stage.base, plan, SECONDS)
    stage.catch_up()
    spent = {name: seconds - cpu[name] for name, seconds in stage.cpu().items()}
    return Round(seen, stage.stored() - stored, stage.counted() - counted, spent)


def _rows(rounds: Sequence[Round], bare: Sequence[float], memory: dict[str, int], hits: int) -> list[Row]:
    loads = [r.load for r in rounds]
    rate = [r.stored / r.load.seconds for r in rounds]
    sums = [sum(r.cost(name) for name in memory) for r in rounds]
    ratios = [load.rate / other for load, other in zip(loads, bare, strict=True)]
    return [
        ("Hits stored a second", median(rate), f"≥ {AIM:,}"),
        ("Hits lost", f"{sum(r.lost for r in rounds)} of {sum(r.load.answers for r in rounds):,}", "0"),
        ("Answers refused, connections broken", f"{sum(x.refused + x.broken for x in loads)}", "0"),
        ("Answered within, p50", median([x.p50 * 1000 for x in loads], ".1f", " ms"), ""),
        ("Answered within, p99", median([x.p99 * 1000 for x in loads], ".1f", " ms"), ""),
        ("Slowest answer", ms(max(x.worst for x in loads)), ""),
        *((f"CPU s for 1,000 hits, {n}", median([r.cost(n) for r in rounds], ".3f"), "") for n in memory),
        ("CPU s for 1,000 hits, all three", median(sums, ".3f"), ""),
        *((f"Memory at most, {name}", mb(size), "") for name, size in memory.items()),
        ("… with so many hits stored", f"{hits:,}", ""),
        ("Bare worker, answers a second", median(bare), ""),
        ("Door / bare worker", median(ratios, ".2f"), ""),
    ]
