"""HITWALL_REPLICAS: a hit is stored when replicas have it, too, at whichever door it came in."""

import os
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis, RedisError

from hitwall.redis_server import RedisServer
from tests.hanging import hanging
from tests.hits import SITE, hit
from tests.waiting import until
from tracker import append
from tracker.append import TooFewReplicas
from tracker.connection import connect
from tracker.group_commit import GroupCommit
from tracker.posting import Posting
from tracker.raw import START, RawLog
from tracker.replay import Replayer
from tracker.settings import Settings
from tracker.sites import Sites
from tracker.spool import Spool


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RedisServer, RedisServer]]:
    """A Redis and its replica."""
    main = RedisServer(tmp_path_factory.mktemp("main"), free())
    replica = RedisServer(tmp_path_factory.mktemp("replica"), free())
    with main, replica, Redis.from_url(replica.url) as client, Redis.from_url(main.url) as asked:
        asked.config_set("repl-diskless-sync-delay", 0)
        client.replicaof("127.0.0.1", str(main.port))
        until(lambda: client.info("replication")["master_link_status"] == "up")
        yield main, replica


@pytest.fixture
def main(pair: tuple[RedisServer, RedisServer]) -> Iterator[Redis]:
    """Emptied, as is its replica."""
    with connect(pair[0].url) as client:
        client.flushdb()
        yield client


@pytest.fixture
def replica(pair: tuple[RedisServer, RedisServer]) -> Iterator[Redis]:
    with connect(pair[1].url) as client:
        yield client


@pytest.fixture
def hung(pair: tuple[RedisServer, RedisServer], main: Redis) -> Iterator[None]:
    """The replica hears nothing; what it was told before it has heard."""
    main.set("before", "")
    assert main.wait(1, 5000) == 1
    with hanging(pair[1].pid):
        yield


def paths(redis: Redis) -> list[str]:
    return [found.path if found else "?" for _, found in RawLog(redis).after(SITE, START, 100)]


def test_a_hit_is_stored_when_the_replica_has_it(main: Redis, replica: Redis) -> None:
    main.script_flush()
    for n in range(20):
        assert RawLog(main, replicas=1).append(SITE, [hit(f"/{n}")], "test", n) == 1
        assert paths(replica)[-1] == f"/{n}"


@pytest.mark.usefixtures("hung")
def test_while_the_replica_has_not_heard_of_it_a_hit_is_not_stored_however_often_it_is_tried(
    main: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append, "REPLICATED", 20)
    raw = RawLog(main, replicas=1)
    for _ in range(3):
        with pytest.raises(TooFewReplicas, match="0 of 1 replicas"):
            raw.append(SITE, [hit("/1")], "test", 1)
    assert paths(main) == ["/1"]  # once; a replica that comes back gets it
    with pytest.raises(TooFewReplicas):
        RawLog(main, replicas=2).append(SITE, [hit("/2")], "test", 2)


def test_law_7_what_too_few_replicas_have_waits_on_disk_until_they_have_it(
    main: Redis, replica: Redis, pair: tuple[RedisServer, RedisServer], tmp_path: Path
) -> None:
    raw = RawLog(main, replicas=1)
    commit = GroupCommit(raw, Spool(tmp_path, "door"))
    commit.append(hit("/1"))
    with hanging(pair[1].pid):
        commit.append(hit("/2"))
        commit.append(hit("/3"))
        assert not Replayer(raw, commit).round()
    assert until(Replayer(raw, commit).round)
    assert paths(main) == paths(replica) == ["/1", "/2", "/3"]


@pytest.mark.usefixtures("hung")
def test_a_post_that_comes_again_is_answered_when_the_replica_has_it(
    main: Redis, pair: tuple[RedisServer, RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append, "REPLICATED", 20)
    settings = Settings(replicas=1)
    posting = Posting(settings, main, Sites(settings, main))
    body = b'{"url": "https://example.com/posted"}'
    for _ in range(3):
        with pytest.raises(RedisError):
            posting.post_hits(body, "application/json", "key", datetime.now(UTC))
    os.kill(pair[1].pid, signal.SIGCONT)
    monkeypatch.setattr(append, "REPLICATED", 5000)
    assert posting.post_hits(body, "application/json", "key", datetime.now(UTC)).repeated
    assert paths(main) == ["/posted"]
