"""nginx answers the pixel itself: what is killed, rotated and away while visitors click."""

import random
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from tests.edge import following
from tests.faults.ledger import FULL, Table, paths_of, settle
from tests.faults.load import Load, load
from tests.faults.world import OwnRedis
from tests.nginx import Nginx, nginx
from tests.service import Service
from tests.waiting import until
from tracker import keys

FOLLOWER = "`hitwall follow --edge` is killed"
NGINX = "nginx is killed that answers the pixel itself"
REDIS = "Redis is killed while nginx answers the pixel itself"
ROUNDS = 20 if FULL else 2
SOME = 300  # hits between two faults
MOST, LONGEST = 1_000_000, 600.0  # hits of a load, and its seconds
UNWRITTEN = 1.0  # seconds before a kill; nginx keeps a line for 0.2 s, and these machines are slow


@pytest.fixture
def counter(redis: Redis, redis_url: str) -> Iterator[Service]:
    """A counter on the session's Redis, and no web process."""
    service = Service(redis_url)
    service.start("count")
    yield service
    service.stop()


@pytest.fixture
def front(tmp_path: Path, free_port: int) -> Iterator[Nginx]:
    """A nginx behind which there is nothing."""
    with nginx(tmp_path, (free_port, free_port), edge=True) as started:
        yield started


def go_on(clicks: Load, hits: int = SOME) -> None:
    """Until so many more are answered."""
    goal = len(clicks.acknowledged) + hits
    until(lambda: len(clicks.acknowledged) >= goal)


def missing(redis: Redis, clicks: Load, gone: Collection[str] = ()) -> set[str]:
    """Hits that were answered and are not stored."""
    return clicks.acknowledged.difference(gone, paths_of(redis, clicks.site))


def rotate(front: Nginx, number: int) -> None:
    """As logrotate does."""
    front.hits.rename(front.hits.with_name(f"hits.log-{number}"))
    front.send(signal.SIGUSR1)


@pytest.mark.fault(FOLLOWER)
def test_followers_killed_again_and_again_through_rotations_store_each_hit_once(
    redis: Redis, redis_url: str, counter: Service, front: Nginx, table: Table
) -> None:
    chance = random.Random(6)
    with ExitStack() as stack, load(front.base, pace=0.002, most=MOST, longest=LONGEST) as clicks:
        both = [stack.enter_context(following(redis_url, front.hits)) for _ in range(2)]
        for n in range(ROUNDS):
            goal = int(redis.xlen(keys.raw(clicks.site))) + chance.randrange(SOME, 2 * SOME)
            until(lambda: redis.xlen(keys.raw(clicks.site)) >= goal)  # noqa: B023
            both.pop(0).kill()
            if n % 2:
                both.pop(0).kill()
                both.append(stack.enter_context(following(redis_url, front.hits)))
            rotate(front, n)
            both.append(stack.enter_context(following(redis_url, front.hits)))
            go_on(clicks)
        clicks.stop()
        until(lambda: not missing(redis, clicks))
        table.add(settle(redis, clicks, FOLLOWER, ROUNDS))
    assert set(clicks.statuses) == {200}


@pytest.mark.fault(NGINX)
def test_a_killed_nginx_takes_along_what_it_had_not_written_and_no_more(
    redis: Redis, redis_url: str, counter: Service, front: Nginx, table: Table
) -> None:
    unwritten: set[str] = set()
    with following(redis_url, front.hits), load(front.base, pace=0.002, most=MOST, longest=LONGEST) as clicks:
        for _ in range(ROUNDS):
            go_on(clicks, 5 * SOME)
            known = clicks.before(time.monotonic() - UNWRITTEN)
            front.stop(signal.SIGKILL)
            unwritten |= clicks.paths - known
            front.start()
        go_on(clicks)
        clicks.stop()
        until(lambda: not missing(redis, clicks, unwritten))
        table.add(settle(redis, clicks, NGINX, ROUNDS, gone=unwritten))


@pytest.mark.fault(REDIS)
def test_while_redis_is_away_the_log_keeps_the_hits_and_visitors_notice_nothing(
    tmp_path: Path, free_port: int, front: Nginx, table: Table
) -> None:
    with OwnRedis(tmp_path / "redis", free_port) as server, server.client() as redis, ExitStack() as stack:
        service = Service(server.url)
        stack.callback(service.stop)
        service.start("count")
        stack.enter_context(following(server.url, front.hits))
        with load(front.base, pace=0.002, most=MOST, longest=LONGEST) as clicks:
            for _ in range(ROUNDS):
                go_on(clicks)
                server.kill()
                go_on(clicks)
                server.start()
                until(lambda: not missing(redis, clicks))
            clicks.stop()
            until(lambda: not missing(redis, clicks))
            table.add(settle(redis, clicks, REDIS, ROUNDS))
        assert set(clicks.statuses) == {200}
