"""Redis stands still while a real server of a tracked application is under steady load."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from hitwall.redis_server import RedisServer
from tests.bench.sender import Sent, send
from tests.hanging import hanging
from tests.host import Host, stored
from tests.waiting import until

CALM = 3  # seconds of load before Redis stops, and again after it goes on
STOPPED = 6  # seconds that Redis answers nothing
CONNECTIONS = 4
RATE = 100  # requests a second of each connection
WARM_UP = 200  # requests before anything is measured
PATIENCE = 60.0  # seconds for all hits to be stored
PHASES = ("before", "stopped", "after")


@dataclass(frozen=True)
class Outage:
    """What visitors and raw log saw of it."""

    waits: dict[str, list[float]]  # phase -> seconds of each request, in order of size
    lost: int
    doubled: int

    @property
    def requests(self) -> int:
        return sum(map(len, self.waits.values()))


def measure(kind: str, server: RedisServer, redis: Redis, folder: Path) -> Outage:
    """A server of that kind; each request has a number of its own."""
    with Host(kind, folder, server.url) as host:
        send(host.port, [f"/?n={-n}" for n in range(1, WARM_UP + 1)], [n / RATE for n in range(WARM_UP)])
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            loads = [threads.submit(_send, host.port, first) for first in range(CONNECTIONS)]
            time.sleep(CALM)
            with stopped(server) as span:
                time.sleep(STOPPED)
            sent = [each for load in loads for each in load.result()]
        until(lambda: len(stored(redis)) >= len(sent) + WARM_UP, PATIENCE)
        host.stop()
    found = stored(redis)
    return Outage(_by_phase(sent, span), len(sent) + WARM_UP - len(found), found.total() - len(found))


def _send(port: int, first: int) -> list[Sent]:
    """One connection's share of the load."""
    count = (2 * CALM + STOPPED) * RATE
    targets = [f"/?n={n * CONNECTIONS + first}" for n in range(count)]
    return send(port, targets, [(n + first / CONNECTIONS) / RATE for n in range(count)])


@contextmanager
def stopped(server: RedisServer) -> Iterator[list[float]]:
    """Redis answers nothing until the end of the block; then the list has both moments, time.monotonic()."""
    span = [time.monotonic()]
    try:
        with hanging(server.pid):
            yield span
    finally:
        span.append(time.monotonic())


def _by_phase(sent: list[Sent], span: list[float]) -> dict[str, list[float]]:
    waits: dict[str, list[float]] = {phase: [] for phase in PHASES}
    for each in sent:
        waits[PHASES[sum(each.at >= moment for moment in span)]].append(each.wait)
    return {phase: sorted(found) for phase, found in waits.items()}
