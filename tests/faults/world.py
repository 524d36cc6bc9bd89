"""A world of its own for faults: Redis with its append-only file, a bad network, web workers and counters."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from unittest.mock import patch

from redis import Redis

from hitwall import redis_server
from hitwall.redis_server import RedisServer
from tests.faults.ledger import FULL
from tests.faults.load import Load
from tests.faults.proxy import Proxy
from tests.hanging import hanging
from tests.service import Service
from tests.waiting import until

FILLERS = 1000 if FULL else 500  # keys that make a file longer
LABELS = "1000000"  # of a counter: every path of a load has its own


class OwnRedis(RedisServer):
    """To be killed, stopped and started again; what it has answered is in its append-only file."""

    def start(self, *options: str) -> None:
        with patch.object(redis_server, "OPTIONS", [*redis_server.OPTIONS, *options]):
            super().start()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        until(lambda: not self.alive())

    def client(self) -> Redis:
        """One that reaches it past the proxy."""
        return Redis.from_url(self.url, socket_timeout=30)


class World:
    """`redis` behind `proxy`; `service` knows the proxy alone, with two web workers and two counters."""

    def __init__(self, redis: OwnRedis, proxy: Proxy, **settings: str) -> None:
        self.redis = redis
        self.proxy = proxy
        self.client = redis.client()
        self.service = Service(proxy.url, workers="2", max_labels=LABELS, canary="0", **settings)

    def start(self) -> None:
        for name in ("first", "second"):
            self.service.start(name, "count")
        self.service.start("serve")

    def close(self) -> None:
        self.service.stop()
        self.client.close()


@contextmanager
def world(folder: Path, port: int, **settings: str) -> Iterator[World]:
    """All of it, running, until the end."""
    with OwnRedis(folder, port) as redis, Proxy(redis.port) as proxy:
        made = World(redis, proxy, **settings)
        try:
            made.start()
            yield made
        finally:
            made.close()


Fault = Callable[[World], AbstractContextManager[None]]  # the fault is there until the end of the block


@contextmanager
def hung(world: World) -> Iterator[None]:
    """Redis takes what it is sent and answers nothing."""
    with hanging(world.redis.pid):
        yield


def slow(seconds: float) -> Fault:
    """Each answer comes that much later."""

    @contextmanager
    def fault(world: World) -> Iterator[None]:
        world.proxy.delay(seconds)
        try:
            yield
        finally:
            world.proxy.heal()

    return fault


@contextmanager
def refusing(world: World) -> Iterator[None]:
    """Redis has as many clients as it may have, and none of them is ours."""
    world.client.config_set("maxclients", 1)
    world.proxy.cut()
    try:
        yield
    finally:
        world.client.config_set("maxclients", 1000)


@contextmanager
def full(world: World) -> Iterator[None]:
    """Redis has no memory for anything new."""
    world.client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        world.client.config_set("maxmemory", 0)


@contextmanager
def stopped(world: World) -> Iterator[None]:
    """Redis ends in order, and starts with its append-only file."""
    world.redis.stop()
    try:
        yield
    finally:
        world.redis.start()


@contextmanager
def killed(world: World) -> Iterator[None]:
    """Redis ends at once, and starts with its append-only file."""
    world.redis.kill()
    try:
        yield
    finally:
        world.redis.start()


@contextmanager
def loading(world: World) -> Iterator[None]:
    """Redis starts and takes some seconds to read its file."""
    world.client.mset({f"filler:{n}": "" for n in range(FILLERS)})
    world.client.bgrewriteaof()  # a key is one step then, however many hits it holds
    until(lambda: not world.client.info("persistence")["aof_rewrite_in_progress"])
    world.redis.kill()
    before = time.monotonic()
    world.redis.start("--key-load-delay", "2000")  # microseconds, for each key of the file
    assert time.monotonic() - before > FILLERS * 0.002
    yield


@contextmanager
def demoted(world: World) -> Iterator[None]:
    """Redis has been made the replica of a server that is not there: it lets nobody write."""
    world.client.execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        world.client.execute_command("REPLICAOF", "NO", "ONE")  # type: ignore[no-untyped-call]


@contextmanager
def forgetful(world: World) -> Iterator[None]:
    """Redis has lost the scripts that it was sent."""
    world.client.script_flush()
    yield
    world.client.script_flush()


def mute(every: int) -> Fault:
    """Each `every`-th script runs, then the connection is cut before its answer comes."""

    @contextmanager
    def fault(world: World) -> Iterator[None]:
        before = world.proxy.dropped
        world.proxy.drop_answer_of(b"EVALSHA", every)
        try:
            yield
            until(lambda: world.proxy.dropped > before)
        finally:
            world.proxy.heal()

    return fault


@contextmanager
def swallowing(world: World) -> Iterator[None]:
    """The network neither delivers nor closes; what was sent arrives when it heals."""
    world.proxy.swallow()
    try:
        yield
    finally:
        world.proxy.heal()


@contextmanager
def unreachable(world: World) -> Iterator[None]:
    """Nobody listens at Redis's address."""
    world.proxy.refuse()
    try:
        yield
    finally:
        world.proxy.heal()


def last(seconds: float) -> None:
    """Let a fault be there for so long, or for half a second in the selection."""
    time.sleep(seconds if FULL else min(seconds, 1.5))


def more(load: Load, hits: int = 50) -> None:
    """Wait for so many more hits that are acknowledged."""
    enough = len(load.acknowledged) + hits
    until(lambda: len(load.acknowledged) >= enough, 30)


def answered(load: Load) -> None:
    """Law 7: every hit was answered with success, and in time."""
    assert load.statuses.keys() == {200}, load.statuses
    assert load.slowest < 5, load.slowest
