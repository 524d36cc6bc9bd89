"""Log import: lines parsed, stored and counted a second, and that a second import adds nothing."""

import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.bench import usage
from tests.bench.report import Part, Row, mb, median
from tests.bench.stage import Stage, hitwall
from tests.bench.traffic import SITE, Visit
from tests.service import ROOT

ROUNDS = 3
LINES = 200_000
PER_SECOND = 4  # lines of the log's own time: it spans about fourteen hours
AIM = 20_000  # lines a second
LIMIT = 120  # seconds for one import

READING = f"""\
`hitwall import` reads a log of {LINES:,} lines in the combined format while a counter runs, as it does under
`hitwall run`; the clock stops when the last hit is counted in all summaries, hits and bytes, in hour, day and
month. Medians of {ROUNDS} rounds, each on an empty Redis, with the smallest and the largest in brackets. The
processor of the import is that of its whole process, from its start on."""


@dataclass(frozen=True)
class Import:
    """One log imported."""

    stored: float  # seconds until all hits were in the raw log
    counted: float  # seconds until all were counted
    cpu: dict[str, float]  # seconds by process
    memory: int  # of the import at most


@dataclass(frozen=True)
class Round:
    """The same log twice."""

    first: Import
    again: float  # seconds of the second
    added: int  # hits that it added


def measure(folder: Path, plan: list[Visit]) -> Part:
    """Import the same log, round after round."""
    log = folder / "access.log"
    write(log, plan, datetime.now(UTC), LINES)
    rounds = []
    for _ in range(ROUNDS):
        with hitwall() as stage:
            rounds.append(_round(stage, log))
    return Part("Log import", READING, _rows(rounds))


def write(file: Path, plan: list[Visit], end: datetime, lines: int) -> None:
    """The visits again and again as so many lines of a log, the last of them at `end`."""
    with file.open("w") as log:
        for n in range(lines):
            at = end - timedelta(seconds=(lines - n) / PER_SECOND)
            visit = plan[n % len(plan)]
            target = visit.path + (f"?{visit.query}&n={n}" if visit.query else "")
            log.write(
                f'{visit.visitor.address} - - [{at:%d/%b/%Y:%H:%M:%S +0000}] "GET {target} HTTP/1.1" 200 '
                f'{visit.bytes} "{visit.referrer or "-"}" "{visit.visitor.agent}"\n'
            )


def _round(stage: Stage, log: Path) -> Round:
    first = once(stage, log, LINES)
    begun = time.perf_counter()
    assert _import(stage, log).wait(LIMIT) == 0
    return Round(first, time.perf_counter() - begun, stage.stored() - LINES)


def once(stage: Stage, log: Path, lines: int) -> Import:
    """Import a log of so many lines into a stage that has no hits yet."""
    cpu = stage.cpu()
    begun = time.perf_counter()
    process = _import(stage, log)
    memory, own = 0, 0.0
    stored = counted = 0.0
    while not counted:
        if process.poll() is None:
            memory, own = max(memory, usage.peak(process.pid)), usage.cpu(process.pid)
        if not stored and stage.stored() >= lines:
            stored = time.perf_counter() - begun
        if stored and stage.counted() >= lines:
            counted = time.perf_counter() - begun
        assert time.perf_counter() - begun < LIMIT, f"{stage.counted()} of {lines} lines are counted"
        time.sleep(0.05)
    assert process.wait(LIMIT) == 0
    spent = {name: seconds - cpu[name] for name, seconds in stage.cpu().items() if name != "web"}
    return Import(stored, counted, {"import": own, **spent}, memory)


def _import(stage: Stage, log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "hitwall", "import", str(log), "--site", SITE]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=stage.service.environ, cwd=ROOT, stdout=quiet, stderr=quiet)


def _rows(rounds: list[Round]) -> list[Row]:
    costs = [
        (
            f"CPU for one line, {name}",
            median([r.first.cpu[name] / LINES * 1e6 for r in rounds], ".1f", " µs"),
            "",
        )
        for name in rounds[0].first.cpu
    ]
    return [
        (
            "Lines stored and counted a second",
            median([LINES / r.first.counted for r in rounds]),
            f"≥ {AIM:,}",
        ),
        ("Lines stored a second", median([LINES / r.first.stored for r in rounds]), ""),
        *costs,
        ("Memory at most, import", mb(max(r.first.memory for r in rounds)), ""),
        ("Hits that a second import added", f"{sum(r.added for r in rounds)}", "0"),
        ("Seconds that it took", median([r.again for r in rounds], ".1f", " s"), ""),
    ]
