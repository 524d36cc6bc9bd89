"""Cluster: what one site and what several sites do on three nodes, what a hit takes, and an idle counter.

Run as a module of its own, with an address and a site: a process that appends to it, as a door does.
"""

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from redis import Redis

from hitwall import demo
from summaries.counting import Counting
from tests.bench import traffic, usage
from tests.bench.report import Part, Row, ms, percentile
from tests.cluster import OwnCluster, running_cluster, sites_on_every_node
from tests.service import ROOT, Service
from tests.waiting import until
from tracker import keys
from tracker.cluster import servers_of
from tracker.connection import connect
from tracker.hit import Hit
from tracker.raw import RawLog
from tracker.settings import Settings

SECONDS = 4.0  # of appending
BATCH = 64  # hits of one append, as a busy door has them
SENDERS = 3  # processes that append
COUNTED = 60_000  # hits, shared out among the sites
IDLE_SITES = 1000
IDLE = 5.0  # seconds for which the idle counter is looked at
LONE = 40  # single hits whose lag is measured

READING = f"""\
Three masters with a replica each (append-only file, `everysec`), the senders and the counter share this
machine, so these are no figures of three machines. {SENDERS} processes append hits in batches of {BATCH}
for {SECONDS:.0f} s, all to one site (one node), or each to a site on another node. Then one process counts
{COUNTED:,} hits with `Counting.step`. CPU is that of the masters, for one hit; it tells what a node can do
at most: a node is one thread. Memory is that of the masters, raw hits and all counters, for one hit of
these. The idle counter looks for hits of {IDLE_SITES:,} sites; *lag* is the time from appending a lone hit
until it is counted."""


def measure() -> Part:
    """On a cluster of its own."""
    rows: list[Row] = []
    hits = ready()
    with (
        TemporaryDirectory(prefix="hitwall-bench-") as folder,
        running_cluster(Path(folder), "--appendonly", "yes") as cluster,
    ):
        spread = [site for there in sites_on_every_node(cluster, 1).values() for site in there]
        for name, sites in (("one site", spread[:1]), ("three sites", spread)):
            cluster.empty()
            rows += [(f"{what}, {name}", figure, "") for what, figure in _busy(cluster, sites, hits)]
        cluster.empty()
        rows += _idle(cluster, hits)
    return Part("Cluster", READING, rows)


def _busy(cluster: OwnCluster, sites: list[str], hits: list[Hit]) -> list[tuple[str, str]]:
    """Append to these sites by as many processes as there are, begin anew, and count."""
    with connect(cluster.url) as redis:
        raw, counting = RawLog(redis), Counting.of(Settings(), redis)
        spent = _cpu(cluster)
        _send(cluster.url, [sites[n % len(sites)] for n in range(SENDERS)])
        stored = sum(raw.length(site) for site in sites)
        storing = (_cpu(cluster) - spent) / stored
        cluster.empty()
        empty = _used(redis)
        for site in sites:
            _append(raw, site, hits, COUNTED // len(sites))
        spent, begun = _cpu(cluster), time.perf_counter()
        while sum(counting.step(site).hits for site in sites):
            pass
        seconds = time.perf_counter() - begun
        return [
            ("Hits stored a second", f"{stored / SECONDS:,.0f}"),
            ("CPU of its node to store a hit", f"{storing * 1e6:.1f} µs"),
            ("Hits counted a second", f"{COUNTED / seconds:,.0f}"),
            ("CPU of its node to count a hit", f"{(_cpu(cluster) - spent) / COUNTED * 1e6:.1f} µs"),
            ("Memory of a hit", f"{(_used(redis) - empty) / COUNTED:,.0f} B"),
        ]


def _send(url: str, sites: list[str]) -> None:
    command = [sys.executable, "-m", "tests.bench.cluster", url]
    senders = [subprocess.Popen([*command, site], cwd=ROOT) for site in sites]
    assert [sender.wait() for sender in senders] == [0] * len(senders)


def _append(raw: RawLog, site: str, hits: list[Hit], most: int, seconds: float = 600.0) -> None:
    """So many hits, or for so long."""
    end = time.perf_counter() + seconds
    for position, first in enumerate(range(0, most, BATCH), 1):
        if time.perf_counter() > end:
            break
        begin = first % (len(hits) - BATCH)
        raw.append(site, hits[begin : begin + min(BATCH, most - first)], f"bench-{usage.SELF}", position)


def _idle(cluster: OwnCluster, hits: list[Hit]) -> list[Row]:
    """A counter that has little to do, and how soon it does that."""
    sites = [f"idle-{n}.example" for n in range(IDLE_SITES)]
    service = Service(cluster.url, canary="0")
    with connect(cluster.url) as redis:
        raw = RawLog(redis)
        for site in sites:
            raw.append(site, hits[:1], "bench", 1)
        try:
            service.start("count")
            until(lambda: all(redis.exists(keys.cursor(site)) for site in sites), 60)
            pid = service.processes["count"].pid
            spent = usage.cpu(pid)
            time.sleep(IDLE)
            share = (usage.cpu(pid) - spent) / IDLE
            lags = sorted(_lag(redis, raw, sites[n * 7], hits[n]) for n in range(LONE))
        finally:
            service.stop()
    return [
        (f"Idle counter, {IDLE_SITES:,} sites: share of a core", f"{share:.0%}", ""),
        ("Its lag of a lone hit, median", ms(percentile(lags, 0.5)), ""),
        ("Its lag of a lone hit, at most", ms(lags[-1]), "≤ 200 ms"),
    ]


def _lag(redis: Redis, raw: RawLog, site: str, hit: Hit) -> float:
    before = redis.hget(keys.cursor(site), "server")
    begun = time.perf_counter()
    raw.append(site, [hit], "bench", 2)
    until(lambda: redis.hget(keys.cursor(site), "server") != before)
    return time.perf_counter() - begun


def _cpu(cluster: OwnCluster) -> float:
    return sum(usage.cpu(node.pid) for node in cluster.nodes if cluster.is_master(node))


def _used(redis: Redis) -> int:
    found: list[Any] = [server.info("memory") for server in servers_of(redis)]
    return sum(int(info["used_memory"]) for info in found)


def ready() -> list[Hit]:
    """Hits of the benchmarks' traffic, as of now."""
    plan = traffic.visits(list(demo.lines([traffic.LOG])))
    return list(traffic.hits(plan, 10_000, datetime.now(UTC)))


if __name__ == "__main__":
    _append(RawLog(connect(sys.argv[1])), sys.argv[2], ready(), sys.maxsize, SECONDS)
