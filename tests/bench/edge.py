"""The edge: nginx answers the pixel, `hitwall follow --edge` makes hits of its log. What each costs."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hitwall.redis_server import dying_with_parent
from tests.bench.report import Part, Row, mb, ms
from tests.bench.stage import PATIENCE, Stage, free_port, redis_server
from tests.bench.wrk import CONNECTIONS, Load, load
from tests.nginx import Nginx, nginx
from tests.service import ROOT, Service
from tests.waiting import POLL, until

SECONDS = 60  # of load
WARM_UP = 3  # seconds of load before anything is measured
RATES = range(38_000, 8_000, -4_000)  # hits a second that are tried; nginx alone would answer twice as many
TRIAL = 5  # seconds
TRIES = 2  # loads of SECONDS at most
SLACK = 1.0  # seconds after the end of a trial by which all of it is counted where its rate can be held
AIM = 30_000  # hits a second
COST = 0.06  # CPU seconds for 1,000 hits, of all processes but the load's
BEHIND = 2.0  # seconds after the last answer
LATEST = 30.0  # seconds after it; what is not counted by then is told as lost

READING = f"""\
nginx runs with the configuration that we ship, in the mode in which it answers the pixel itself and writes a
log; one `hitwall follow --edge` reads that, one counter counts. wrk sends varied hits over {CONNECTIONS}
keep-alive connections for {SECONDS} s; it and all the rest share this machine. Of {RATES[0]:,} hits a second
and less, in steps of {-RATES.step:,}, it sends as many as are counted {SLACK:g} s after a trial of {TRIAL} s.
Where these turn out to be too many for {SECONDS} s, it sends fewer once more, to an empty Redis.
*Lost* is what was answered with success and is not counted {LATEST:.0f} s after the last answer."""


@dataclass(frozen=True)
class Round:
    """One load on the edge, and after it."""

    load: Load
    counted: int
    behind: float  # seconds from the end of the load until all was counted
    cpu: dict[str, float]  # seconds by process, until all was counted
    memory: dict[str, int]
    disk: int  # bytes of the log

    @property
    def answered(self) -> int:
        return self.load.answers - self.load.refused

    def cost(self, name: str) -> float:
        """CPU seconds for 1,000 hits."""
        return self.cpu[name] / self.counted * 1000


@contextmanager
def edge() -> Iterator[tuple[Stage, Nginx]]:
    """nginx, follower, counter and an empty Redis; no web process, which is not asked for pixels."""
    with redis_server() as (server, redis), TemporaryDirectory(prefix="hitwall-bench-") as folder:
        service = Service(server.url, trusted_proxies="2")  # wrk stands for a proxy that tells who came
        nobody = free_port()
        try:
            with nginx(Path(folder), (nobody, nobody), edge=True) as front:
                service.start("count")
                service.processes["follow"] = follow(service, front.hits)
                pids = {"follow": service.processes["follow"].pid, "counter": service.processes["count"].pid}
                assert front.process is not None
                yield Stage(service, redis, {"nginx": front.process.pid, **pids, "Redis": server.pid}), front
        finally:
            service.stop()


def follow(service: Service, log: Path) -> "subprocess.Popen[bytes]":
    """A follower of that log."""
    command = [sys.executable, "-m", "hitwall", "follow", "--edge", str(log)]
    quiet, ends = subprocess.DEVNULL, dying_with_parent()
    return subprocess.Popen(
        command, env=service.environ, cwd=ROOT, stderr=quiet, start_new_session=True, preexec_fn=ends
    )


def measure(plan: Path) -> Part:
    """One long load and what is left to do after it, at the first rate that is held so long."""
    rates = RATES
    for _ in range(TRIES):
        rate, done = _long(plan, rates)
        rates = RATES[RATES.index(rate) + 1 :]
        if done.behind <= BEHIND or not rates:
            break
    return Part("The edge", READING, [("Hits sent a second", f"{rate:,}", ""), *_rows(done)])


def _long(plan: Path, rates: range) -> tuple[int, Round]:
    """The first of these rates that is held in a trial, or the last, for SECONDS on an empty Redis."""
    with edge() as (stage, front):
        warm = load(front.base, plan, WARM_UP, RATES[-1])
        until(lambda: stage.counted() >= warm.answers, PATIENCE)
        rate = next((rate for rate in rates if _is_held(stage, front, plan, rate)), rates[-1])
        return rate, _round(stage, front, plan, SECONDS, rate)


def _is_held(stage: Stage, front: Nginx, plan: Path, rate: int) -> bool:
    """Whether a trial of that rate is counted nearly as soon as it is over."""
    before = stage.counted()
    done = _round(stage, front, plan, TRIAL, rate)
    until(lambda: stage.counted() >= before + done.answered, PATIENCE)
    return done.behind <= SLACK and done.load.answers >= 0.98 * rate * TRIAL


def _round(stage: Stage, front: Nginx, plan: Path, seconds: int, rate: int) -> Round:
    counted, cpu, size = stage.counted(), stage.cpu(), os.stat(front.hits).st_size
    seen = load(front.base, plan, seconds, rate)
    ended, goal = time.monotonic(), counted + seen.answers - seen.refused
    while stage.counted() < goal and time.monotonic() - ended < LATEST:
        time.sleep(POLL)
    behind = time.monotonic() - ended
    spent = {name: seconds - cpu[name] for name, seconds in stage.cpu().items()}
    disk = os.stat(front.hits).st_size - size
    return Round(seen, stage.counted() - counted, behind, spent, stage.memory(), disk)


def _rows(done: Round) -> list[Row]:
    seen, memory = done.load, done.memory
    lost = max(0, done.answered - done.counted)
    costs = [(f"CPU s for 1,000 hits, {name}", f"{done.cost(name):.4f}", "") for name in done.cpu]
    return [
        (
            "Hits stored and counted a second",
            f"{done.counted / (seen.seconds + done.behind):,.0f}",
            f"≥ {AIM:,}",
        ),
        ("Hits lost", f"{lost:,} of {done.answered:,}", "0"),
        ("Answers refused, connections broken", f"{seen.refused + seen.broken}", "0"),
        ("Seconds from the last answer until all was counted", f"{done.behind:.1f} s", f"≤ {BEHIND:g} s"),
        ("Answered within, p50", ms(seen.p50), ""),
        ("Answered within, p99", ms(seen.p99), ""),
        ("Slowest answer", ms(seen.worst), ""),
        *costs,
        ("CPU s for 1,000 hits, all", f"{sum(map(done.cost, done.cpu)):.3f}", f"≤ {COST:g}"),
        *((f"Memory at most, {name}", mb(size), "") for name, size in memory.items()),
        ("Bytes of the log for a hit", f"{done.disk / done.counted:,.0f}", ""),
    ]
