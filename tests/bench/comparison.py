"""Side by side, in turns: our doors, what people write by hand, and what this machine can do at most."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tests.bench import columns, imports, redis_benchmark
from tests.bench.columns import Run
from tests.bench.edge import RATES
from tests.bench.imports import LINES
from tests.bench.redis_benchmark import COMMANDS
from tests.bench.report import Cells, Part, Row
from tests.bench.stage import hitwall
from tests.bench.subjects import LIMIT, SUBJECTS, Subject
from tests.bench.traffic import Visit
from tests.bench.wrk import CONNECTIONS, THREADS, load
from tests.waiting import POLL

ROUNDS = 3
SECONDS = 4  # of load, each round
WARM_UP = 1  # seconds of load before
PATIENCE = 15.0  # seconds after the load; what is not counted by then is lost
STILL = 0.5  # seconds in which nothing is counted: all is. Logs are written and read every 200 ms
IMPORT = "our import of a log"
STORING = f"redis-benchmark: XADD, {redis_benchmark.TOGETHER} at once"  # the limit where there is no HTTP
AIMS = {"our pixel, 1 worker": "≥ 10,000", "our pixel, 2 workers": "≥ 12,000"}  # hits a second
COST = "≤ 0.115"  # CPU seconds for 1,000 of them

READING = f"""\
Every row was measured {ROUNDS} times, in turns with the others; each time all its processes were started
anew on empty data. wrk sends varied hits over {CONNECTIONS} keep-alive connections with {THREADS} threads
for {SECONDS} s, as fast as they are answered, and shares the machine with all that is measured; the edge
gets {RATES[0]:,} a second, because its nginx would answer more than can be counted meanwhile.
*Stored and counted* are hits that were answered with success, divided by the time from the first request
until the last of them was counted in all summaries, hits and bytes, in hour, day and month; for nginx it is
lines in its log. *Lost* is answered with success and never counted, over all rounds; up to {CONNECTIONS}
requests that wrk does not wait for at its end are stored in addition, and a loss of fewer would hide behind
them: the tests of faults, which number every hit, would see it. *CPU* and *memory* are those of all
processes of the row but the load's; what two processes share is in the memory of both. *Of the limit* is
the rate divided by what this machine did in the same round without us: where hits come over HTTP by nginx's
`empty_gif` and its log, else by redis-benchmark's XADD, {redis_benchmark.TOGETHER} at once. The import reads
{LINES:,} lines of a log. The Flask view counts the same labels with one HINCRBY each, some 70 a hit, and
publishes each hit with flask-sse; it keeps no raw hit. redis-benchmark sends its commands over
{redis_benchmark.CLIENTS} connections; a hit is one XADD, but some 70 HINCRBY."""


def measure(file: Path, plan: list[Visit], folder: Path) -> Part:
    """All of them in turns."""
    log = folder / "access.log"
    imports.write(log, plan, datetime.now(UTC), LINES)
    ways: dict[str, Callable[[], Run]] = {name: partial(_http, name, file) for name in SUBJECTS}
    ways[IMPORT] = partial(_import, log)
    ways |= {name: partial(redis_benchmark.run, command) for name, command in COMMANDS.items()}
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            runs[name].append(way())
    return Part("Side by side", READING, _rows(runs), columns.HEAD, _aims(runs))


def _http(name: str, file: Path) -> Run:
    with SUBJECTS[name]() as subject:
        load(subject.base, file, WARM_UP, subject.rate)
        before, cpu = _still(subject), subject.cpu()
        seen = load(subject.base, file, SECONDS, subject.rate)
        begun, wanted = time.monotonic(), seen.answers - seen.refused
        counted = 0
        while counted < wanted and time.monotonic() - begun < PATIENCE:
            time.sleep(POLL)
            counted = subject.counted() - before
        seconds = seen.seconds + time.monotonic() - begun
        found = _still(subject) - before
        return Run(
            answers=seen.rate,
            counted=min(found, wanted) / seconds,
            lost=max(0, wanted - found),
            cpu=(subject.cpu() - cpu) / max(1, found) * 1000,
            p50=seen.p50,
            p99=seen.p99,
            memory=subject.memory(),
        )


def _still(subject: Subject) -> int:
    """How many are counted when no more are."""
    counted, since = subject.counted(), time.monotonic()
    while time.monotonic() - since < STILL:
        time.sleep(STILL / 5)
        if (now := subject.counted()) != counted:
            counted, since = now, time.monotonic()
    return counted


def _import(log: Path) -> Run:
    with hitwall() as stage:
        done = imports.once(stage, log, LINES)
        memory = done.memory + sum(stage.memory()[name] for name in ("counter", "Redis"))
        return Run(
            counted=LINES / done.counted,
            lost=max(0, LINES - stage.counted()),
            cpu=sum(done.cpu.values()) / LINES * 1000,
            memory=memory,
        )


def _rows(runs: dict[str, list[Run]]) -> list[Cells]:
    limits = {name: [run.counted or 0.0 for run in runs[name]] for name in (LIMIT, STORING)}
    over_http = set(SUBJECTS) - {LIMIT}
    rows = []
    for name, found in runs.items():
        limit = limits[LIMIT] if name in over_http else limits[STORING] if name == IMPORT else []
        rows.append(columns.row(name, found, limit))
    return rows


def _aims(runs: dict[str, list[Run]]) -> list[Row]:
    aims: list[Row] = []
    for name, rate in AIMS.items():
        cells = dict(zip(columns.HEAD, columns.row(name, runs[name]), strict=True))
        aims += [
            (f"{name}, hits stored and counted a second", cells["stored and counted/s"], rate),
            (f"{name}, hits lost", cells["lost"], "0"),
            (f"{name}, CPU s for 1,000 hits, all processes", cells["CPU s per 1,000"], COST),
        ]
    return aims
