"""The columns of the comparison: what one subject did under one load, and how that reads."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.report import UNKNOWN, Cells, mb, median, ms

HEAD: Cells = ("", "answers/s", "stored and counted/s", "lost", "CPU s per 1,000")
HEAD += ("p50", "p99", "memory at most", "of the limit")


@dataclass(frozen=True)
class Run:
    """One round of one subject; None is what cannot be known from outside."""

    answers: float | None = None  # with success, a second
    counted: float | None = None  # a second, until the last was counted
    lost: int | None = None  # answered with success and not counted
    cpu: float | None = None  # seconds for 1,000, of all processes but the load's
    p50: float | None = None  # seconds
    p99: float | None = None
    memory: float | None = None  # bytes at most, of all processes but the load's


def row(name: str, runs: Sequence[Run], limits: Sequence[float] = ()) -> Cells:
    """Medians of the rounds, what was lost in all of them, and the rate by the limit of the same round."""
    counted = _known([run.counted for run in runs])
    shares = [rate / limit for rate, limit in zip(counted, limits, strict=False)]
    lost = _known([run.lost for run in runs])
    return (
        name,
        _cell([run.answers for run in runs], lambda value: f"{value:,.0f}"),
        median(counted) if counted else UNKNOWN,
        f"{sum(lost):,.0f}" if lost else UNKNOWN,
        _cell([run.cpu for run in runs], lambda value: f"{value:.4f}" if value < 0.1 else f"{value:.3f}"),
        _cell([run.p50 for run in runs], ms),
        _cell([run.p99 for run in runs], ms),
        _cell([run.memory for run in runs], mb),
        f"{statistics.median(shares):.2g}" if shares else UNKNOWN,
    )


def _cell(values: Sequence[float | None], form: Callable[[float], str]) -> str:
    known = _known(values)
    return form(statistics.median(known)) if known else UNKNOWN


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]
