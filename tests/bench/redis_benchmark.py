"""redis-benchmark, of Debian's redis-tools: what Redis itself takes, one command at a time or 64 at once."""

import csv
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from redis import Redis

from tests.bench import usage
from tests.bench.columns import Run
from tests.bench.report import Lacking
from tests.bench.stage import redis_server

CLIENTS = 50  # connections, its own default
TOGETHER = 64  # commands in one go, as a busy door has hits
SENT = {1: 80_000, TOGETHER: 5_000 * TOGETHER}  # commands, one by one and together: about two seconds
LABELS = 10_000  # in the hash, as many as one of ours may have
HIT = "x" * 400  # about as long as a raw hit of the benchmarks
LIMIT = 60  # seconds for one measurement


@dataclass(frozen=True)
class Command:
    """What is sent again and again, and how many of them Redis says it has done."""

    words: tuple[str, ...]
    together: int
    done: Callable[[Redis], int]

    @property
    def count(self) -> int:
        return SENT[self.together]


def _summed(redis: Redis) -> int:
    return sum(map(int, redis.hvals("hash")))


def _stored(redis: Redis) -> int:
    return int(redis.xlen("raw"))


HINCRBY = ("HINCRBY", "hash", "label:__rand_int__", "1")
XADD = ("XADD", "raw", "*", "hit", HIT)

COMMANDS = {
    "redis-benchmark: HINCRBY, one by one": Command(HINCRBY, 1, _summed),
    f"redis-benchmark: HINCRBY, {TOGETHER} at once": Command(HINCRBY, TOGETHER, _summed),
    "redis-benchmark: XADD, one by one": Command(XADD, 1, _stored),
    f"redis-benchmark: XADD, {TOGETHER} at once": Command(XADD, TOGETHER, _stored),
}


def program() -> str:
    if not (found := shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")):
        raise Lacking("redis-benchmark is not installed (Debian: apt install redis-tools)")
    return found


def run(command: Command) -> Run:
    """On an empty embedded Redis, with the append-only file that ours has."""
    with redis_server() as (server, redis):
        options = ["-p", str(server.port), "-c", str(CLIENTS), "-n", str(command.count), "--csv"]
        options += ["-P", str(command.together), "-r", str(LABELS)]
        spent = usage.cpu(server.pid)
        said = subprocess.run(
            [program(), *options, *command.words], capture_output=True, text=True, timeout=LIMIT, check=True
        )
        spent = usage.cpu(server.pid) - spent
        told = figures(said.stdout)
        done = command.done(redis)
        rate = told["rps"]
        return Run(
            answers=rate,
            counted=rate * done / command.count,
            lost=command.count - done,
            cpu=spent / command.count * 1000,
            p50=_seconds(told, "p50_latency_ms"),
            p99=_seconds(told, "p99_latency_ms"),
            memory=usage.peak(server.pid),
        )


def figures(said: str) -> dict[str, float]:
    """By name, as version 7 has them; version 6 tells no more than the rate."""
    rows = list(csv.reader(line for line in said.splitlines() if line.startswith('"')))
    names = rows[0] if len(rows) > 1 else ["test", "rps"]
    return {name: float(value) for name, value in zip(names[1:], rows[-1][1:], strict=True)}


def _seconds(told: dict[str, float], name: str) -> float | None:
    return told[name] / 1000 if name in told else None
