"""Starts: how long web process, counter and Redis take to start, with little data and with much."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from redis import Redis

from hitwall.redis_server import RedisServer
from tests.bench.filled import Filled
from tests.bench.report import Row, median
from tests.bench.stage import free_port
from tests.bench.traffic import SITE
from tests.service import Service
from tests.waiting import until
from tracker import keys
from tracker.hit import Hit

ROUNDS = 3
LOADED = 1_000_000  # hits in the file that Redis loads
OTHERS = 100_000  # keys of somebody else, beside ours
OLD = 20_000  # counters of times gone by: those of three weeks, or of a year without hours
LONGEST = 60  # seconds that Redis may take to rewrite its file
AIM = "≤ 1.10"


def starts(small: Filled, large: Filled) -> list[Row]:
    """Web process and counter; the large Redis gets as many keys as a shared one has, too."""
    _crowd(large)
    found: dict[str, list[tuple[float, float]]] = {"web": [], "counter": []}
    for _ in range(ROUNDS):
        (web, counter), (webs, counters) = _started(small), _started(large)
        found["web"].append((web, webs))
        found["counter"].append((counter, counters))
    size = f"{large.raw.length(large.site):,} hits and {large.redis.dbsize():,} keys"
    rows: list[Row] = []
    for name, pairs in found.items():
        rows += [
            (f"Start of the {name}, little data", median([one for one, _ in pairs], ".2f", " s"), ""),
            (f"… {size}", median([two / one for one, two in pairs], ".2f", " times"), AIM),
        ]
    return rows


def _crowd(place: Filled) -> None:
    with place.redis.pipeline(transaction=False) as pipe:
        for n in range(OLD):
            pipe.hset(keys.counter(place.site, "hits", f"old_{n}", "day:2020-01-01"), "/", 1)
        for n in range(OTHERS):
            pipe.set(f"somebody:else:{n}", n)
        pipe.execute()


def _started(place: Filled) -> tuple[float, float]:
    """Seconds until the web process is ready, and until a counter has counted the hit that waited."""
    place.append([Hit(at=datetime.now(UTC), site=place.site, path="/", source="pixel")])
    last = place.raw.before(place.site, "+", 1)[0][0]
    service = Service(place.server.url, canary="0", keep_raw="0", keep_raw_max="0")
    try:
        counter = _seconds(
            service, "count", lambda: place.counting.counters.cursors(place.site)["server"] == last
        )
        until(lambda: place.redis.exists(keys.COUNTING))
        web = _seconds(service, "serve", lambda: service.get("/readyz").status == 200)
    finally:
        service.stop()
        place.redis.delete(keys.LEASE)
    return web, counter


def _seconds(service: Service, name: str, done: Callable[[], bool]) -> float:
    begun = time.monotonic()
    service.start(name)
    until(done)
    return time.monotonic() - begun


def loading(hits: Sequence[Hit], folder: Path) -> list[Row]:
    """How long Redis takes to read a million hits from its file, as it rewrites and as it appends to it."""
    rows: list[Row] = []
    for name, is_rewritten in (("as rewritten", True), ("as appended", False)):
        server = RedisServer(folder / name.replace(" ", "-"), free_port())
        with server, Redis.from_url(server.url) as redis:
            Filled(server, redis, SITE).log(hits, LOADED)
            if is_rewritten:
                redis.bgrewriteaof()
                until(lambda: not redis.info("persistence")["aof_rewrite_in_progress"], LONGEST)
        begun = time.monotonic()
        with server:
            seconds = time.monotonic() - begun
        rows.append((f"Start of Redis, {LOADED:,} hits in its file, {name}", f"{seconds:.1f} s", ""))
    return rows
