"""Counting: hits that `step` counts a second from a full raw log.

Run as a module of its own, with the address of a Redis and the pid of its server: one measurement,
told as JSON. A process of its own has no memory and no caches of what was measured before.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice

from redis import Redis

from summaries.counting import Counting
from tests.bench import steady, usage
from tests.bench.report import Part, Row, mb, median
from tests.bench.stage import redis_server
from tests.bench.traffic import SITE, Visit, hits
from tests.service import ROOT, total
from tracker.connection import connect
from tracker.hit import Hit
from tracker.raw import RawLog
from tracker.settings import Settings

ROUNDS = 3
HITS = 300_000  # some thirty batches
EDGE = 8  # batches near the beginning and at the end whose cost is compared; the first few are smaller
BATCH = 500  # hits of one append
AIM = 40_000  # hits a second
LIMIT = 120  # seconds for one measurement

READING = f"""\
{HITS:,} hits are appended in batches of {BATCH}, then one process counts them with `Counting.step` and
nothing else runs. Medians of {ROUNDS} rounds, each on an empty Redis, with the smallest and the largest in
brackets. All summaries are counted, hits and bytes, in hour, day and month. Client and Redis work side by
side, each on a core of its own. Then hits come one by one, and after that
another process appends {steady.RATE:,} a second, {steady.TOGETHER} at a time, while `hitwall count` counts:
how old the oldest hit of a batch is when its announcement comes, and what that costs, Redis less what
storing alone costs it."""


@dataclass(frozen=True)
class Round:
    """One raw log counted."""

    hits: int
    seconds: float
    client: float  # CPU seconds
    redis: float
    memory: int  # of the client at most
    slower: float  # last batches' processor of Redis, of the first ones'


def measure(plan: list[Visit]) -> Part:
    """Fill, count, and see that every hit is counted."""
    rounds, appended = [], []
    for _ in range(ROUNDS):
        with redis_server() as (server, redis):
            appended.append(HITS / _fill(redis, plan))
            command = [sys.executable, "-m", "tests.bench.counting", server.url, str(server.pid)]
            told = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=LIMIT, check=True)
            rounds.append(Round(**json.loads(told.stdout)))
            assert total(redis, SITE) == HITS, f"{total(redis, SITE)} of {HITS} are counted"
    return Part("Counting", READING, [*_rows(rounds, appended), *steady.rows(plan)])


def _fill(redis: Redis, plan: list[Visit]) -> float:
    """Append all hits; the seconds it took."""
    raw = RawLog(redis)
    ready = list(hits(plan, HITS, datetime.now(UTC)))
    begun = time.perf_counter()
    for position, batch in enumerate(_batches(iter(ready)), 1):
        raw.append(SITE, batch, "bench", position)
    return time.perf_counter() - begun


def _batches(source: Iterator[Hit]) -> Iterator[list[Hit]]:
    while batch := list(islice(source, BATCH)):
        yield batch


def count(url: str, server: int) -> Round:
    """Count what there is, from here."""
    redis = connect(url)
    counting = Counting.of(Settings(), redis)
    counting.step(SITE, 1)  # loads what is loaded once: the script, the browsers' patterns
    client, begun = time.process_time(), time.perf_counter()
    seen, done = [(0, usage.cpu(server))], 0
    while hits := counting.step(SITE).hits:
        done += hits
        seen.append((done, usage.cpu(server)))
    seconds, client = time.perf_counter() - begun, time.process_time() - client
    slower = _cost(seen[-1 - EDGE], seen[-1]) / _cost(seen[EDGE // 2], seen[EDGE + EDGE // 2])
    return Round(done, seconds, client, seen[-1][1] - seen[0][1], usage.peak(usage.SELF), slower)


def _cost(one: tuple[int, float], other: tuple[int, float]) -> float:
    """Redis's processor for a hit between two moments."""
    return (other[1] - one[1]) / (other[0] - one[0])


def _rows(rounds: list[Round], appended: list[float]) -> list[Row]:
    client, redis = ([getattr(r, name) / r.hits * 1e6 for r in rounds] for name in ("client", "redis"))
    return [
        ("Hits counted a second", median([r.hits / r.seconds for r in rounds]), f"≥ {AIM:,}"),
        ("CPU for one hit, counter", median(client, ".1f", " µs"), ""),
        ("CPU for one hit, Redis", median(redis, ".1f", " µs"), ""),
        (
            "The same of a day's last batches, of its first",
            median([r.slower for r in rounds], ".2f"),
            "≤ 1.1",
        ),
        ("Memory at most, counter", mb(max(r.memory for r in rounds)), ""),
        (f"For comparison: hits appended a second, {BATCH} at once", median(appended), ""),
    ]


if __name__ == "__main__":
    print(json.dumps(asdict(count(sys.argv[1], int(sys.argv[2])))))
