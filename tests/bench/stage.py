"""Hitwall as it is run, for a benchmark: embedded Redis, one counter, one web process."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from redis import Redis

from hitwall.redis_server import RedisServer
from tests.bench import usage
from tests.bench.traffic import SITE
from tests.service import Service, total
from tests.waiting import until
from tracker import keys

PATIENCE = 60.0  # seconds for the counter to catch up


@dataclass(frozen=True)
class Stage:
    """All three, running. Whoever asks gets figures of the one site of the benchmarks."""

    service: Service
    redis: Redis
    pids: dict[str, int]  # of web, counter and Redis

    @property
    def base(self) -> str:
        return self.service.base

    def stored(self) -> int:
        return int(self.redis.xlen(keys.raw(SITE)))

    def counted(self) -> int:
        return total(self.redis, SITE)

    def catch_up(self) -> None:
        """Return when all that is stored is counted."""
        until(lambda: self.counted() >= self.stored(), PATIENCE)

    def cpu(self) -> dict[str, float]:
        """Seconds so far, by process."""
        return {name: usage.cpu(pid) for name, pid in self.pids.items()}

    def memory(self) -> dict[str, int]:
        """Bytes at most, by process."""
        return {name: usage.peak(pid) for name, pid in self.pids.items()}


@contextmanager
def redis_server() -> Iterator[tuple[RedisServer, Redis]]:
    """An empty embedded Redis with a client; gone with its data at the end."""
    with (
        TemporaryDirectory(prefix="hitwall-bench-") as folder,
        RedisServer(Path(folder), free_port()) as server,
        Redis.from_url(server.url) as redis,
    ):
        yield server, redis


@contextmanager
def hitwall(**settings: str) -> Iterator[Stage]:
    """Hitwall behind one trusted proxy, on an empty Redis."""
    with redis_server() as (server, redis):
        service = Service(server.url, trusted_proxies="1", **settings)
        try:
            service.start("count")
            service.start("serve")
            pids = {name: process.pid for name, process in service.processes.items()}
            yield Stage(service, redis, {"web": pids["serve"], "counter": pids["count"], "Redis": server.pid})
        finally:
            service.stop()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def listening(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False
