"""The one way to connect to Redis."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError, TimeoutError

from hitwall.redis_server import RedisServer
from tests.hits import SITE, hit
from tracker.connection import connect
from tracker.raw import RawLog


@pytest.fixture
def own_redis(tmp_path: Path, free_port: int) -> Iterator[RedisServer]:
    with RedisServer(tmp_path, free_port) as server:
        yield server


def test_a_server_that_has_become_a_replica_is_looked_up_anew(own_redis: RedisServer) -> None:
    """By whoever writes: a script as well as a plain command, and once it is a master again all goes on."""
    with connect(own_redis.url) as redis, connect(own_redis.url) as other:
        raw = RawLog(redis)
        raw.append(SITE, [hit()], "web-1", 1)
        before = redis.client_id()
        other.replicaof("127.0.0.1", 1)
        with pytest.raises(ConnectionError, match="has become a replica"):
            raw.append(SITE, [hit()], "web-1", 2)
        with pytest.raises(ConnectionError, match="has become a replica"):
            redis.set("a", "b")
        assert redis.client_id() > before  # by a connection that was made since
        other.replicaof("NO", "ONE")
        assert raw.append(SITE, [hit()], "web-1", 2) == 1


def test_what_takes_too_long_is_not_tried_a_second_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        redis = connect(f"redis://127.0.0.1:{silent.getsockname()[1]}", 0.5)
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            redis.ping()
        assert time.monotonic() - begun < 5
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
