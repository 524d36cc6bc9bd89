"""TrackUsage inside a host: what it adds to a request, an outage of Redis, and many threads at once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench import outage, overhead
from tests.bench.outage import Outage
from tests.bench.overhead import BLOCK, BLOCKS, EACH, THREADS
from tests.bench.report import Part, Row, median, ms, percentile
from tests.bench.stage import redis_server
from tests.bench.traffic import SITE
from tests.service import ROOT
from tracker import keys

SERVERS = ("gthread", "gevent")
AIM = 60  # µs that TrackUsage may add to a request at the median
AIM_OUTAGE = 5  # ms by which Redis's outage may change the host's p99
LIMIT = 120  # seconds for one measurement

READING = f"""\
*Added to a request*: one process asks two Flask applications with one trivial view, as a WSGI server does,
in turns of {BLOCK:,} requests, {BLOCKS * BLOCK:,} to each; one of them is tracked with TrackUsage into Redis.
What is added is the difference between a turn with and the one without before it: the median of all pairs of
turns, the smallest and the largest in brackets.
*{THREADS} threads*: each asks the application {EACH:,} times, as fast as it answers. *Redis stopped*:
gunicorn with two workers answers {outage.RATE * outage.CONNECTIONS} requests a second, sent at planned
times; after {outage.CALM} s Redis is stopped (SIGSTOP) for {outage.STOPPED} s. *Lost* and *doubled* are
numbered requests that are not, or not once, in the raw log at the end. All processes share this machine."""


def measure() -> Part:
    """All three; each on an empty Redis."""
    cost, crowd = _measured("alternating"), _measured("crowd")
    rows = [*_cost_rows(cost), *_crowd_rows(crowd)]
    for kind in SERVERS:
        with redis_server() as (server, redis), TemporaryDirectory(prefix="hitwall-bench-") as folder:
            rows += _outage_rows(kind, outage.measure(kind, server, redis, Path(folder)))
    return Part("TrackUsage in a Flask application", READING, rows)


def _measured(name: str) -> dict[str, Any]:
    """What overhead.py tells of it, and how many hits were stored."""
    with redis_server() as (server, redis), TemporaryDirectory(prefix="hitwall-bench-") as folder:
        command = [sys.executable, "-m", overhead.__name__, name, folder]
        environ = {**os.environ, "REDIS_URL": server.url}
        told = subprocess.run(
            command, env=environ, cwd=ROOT, timeout=LIMIT, stdout=subprocess.PIPE, check=True
        )
        return {**json.loads(told.stdout), "stored": redis.xlen(keys.raw(SITE))}


def _cost_rows(cost: Mapping[str, Any]) -> list[Row]:
    bare, tracked = cost["without"], cost["with"]
    requests = BLOCKS * BLOCK
    return [
        ("Added to a request, median", median(_added(cost, 0.5), ",.0f", " µs"), f"< {AIM} µs"),
        ("… p99", median(_added(cost, 0.99), ",.0f", " µs"), ""),
        ("A request without TrackUsage, median / p99", _pair(bare["blocks"]), ""),
        ("A request with TrackUsage, median / p99", _pair(tracked["blocks"]), ""),
        ("CPU added to a request, its own thread", us((tracked["asking"] - bare["asking"]) / requests), ""),
        ("CPU added to a request, background thread", us(tracked["background"] / requests), ""),
    ]


def _added(cost: Mapping[str, Any], share: float) -> list[float]:
    """µs between each pair of blocks, one after the other."""
    pairs = zip(cost["without"]["blocks"], cost["with"]["blocks"], strict=True)
    return [(_at(tracked, share) - _at(bare, share)) * 1e6 for bare, tracked in pairs]


def _at(waits: Iterable[float], share: float) -> float:
    return percentile(sorted(waits), share)


def _pair(blocks: list[list[float]]) -> str:
    waits = sorted(chain.from_iterable(blocks))
    return f"{us(percentile(waits, 0.5))} / {us(percentile(waits, 0.99))}"


def _crowd_rows(crowd: Mapping[str, Any]) -> list[Row]:
    expected = THREADS * EACH
    return [
        (f"{THREADS} threads, {EACH:,} requests each: hits stored", f"{crowd['stored']:,}", f"{expected:,}"),
        ("… requests answered a second without", f"{expected / crowd['without']['answered']:,.0f}", ""),
        ("… requests answered a second with", f"{expected / crowd['with']['answered']:,.0f}", ""),
        ("… hits stored a second", f"{expected / crowd['with']['stored']:,.0f}", ""),
    ]


def _outage_rows(kind: str, seen: Outage) -> list[Row]:
    p99 = {phase: percentile(waits, 0.99) for phase, waits in seen.waits.items()}
    worst = {phase: waits[-1] for phase, waits in seen.waits.items()}
    change = max(p99["stopped"], p99["after"]) - p99["before"]
    return [
        (f"Redis stopped under {kind}: p99 changed by", f"{change * 1000:+.1f} ms", f"< {AIM_OUTAGE} ms"),
        ("… p99 before / stopped / after", " / ".join(map(ms, p99.values())), ""),
        ("… slowest before / stopped / after", " / ".join(map(ms, worst.values())), ""),
        ("… hits lost, doubled", f"{seen.lost}, {seen.doubled} of {seen.requests:,}", "0, 0"),
    ]


def us(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} µs"
