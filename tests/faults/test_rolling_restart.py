"""Two web processes behind the nginx that we ship: one stops, visitors notice nothing."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from tests.faults.ledger import FULL, Table, settle
from tests.faults.load import Load, together
from tests.nginx import Nginx, nginx, two_webs
from tests.service import Service
from tests.waiting import until

ROLLING = "Rolling restart of two web processes behind nginx"
KILLED = "A web process behind nginx is killed"
ROUNDS = 5 if FULL else 1
LONGEST = 600.0  # seconds that they click at most
SOME = 200  # hits between two restarts


@pytest.fixture
def webs(redis: Redis, redis_url: str) -> Iterator[list[Service]]:
    """Two web processes and a counter on one Redis."""
    with two_webs(redis_url) as both:
        yield both


@pytest.fixture
def front(webs: list[Service], tmp_path: Path) -> Iterator[Nginx]:
    first, second = webs
    with nginx(tmp_path, (first.port, second.port)) as started:
        yield started


@contextmanager
def visitors(front: Nginx) -> Iterator[list[Load]]:
    """GET and POST through nginx, as fast as they are answered and with pauses."""
    loads = [
        Load(front.base, "example.com", 100_000, pace, post, LONGEST)
        for pace in (0.0, 0.02)
        for post in (False, True)
    ]
    with together(loads, 2):
        yield loads


def acknowledged(loads: list[Load]) -> int:
    return sum(len(load.acknowledged) for load in loads)


def more(loads: list[Load], number: int) -> bool:
    return acknowledged(loads) >= number


def restart_in_turn(webs: list[Service], loads: list[Load], how: signal.Signals) -> None:
    for _ in range(ROUNDS):
        for service in webs:
            until(partial(more, loads, acknowledged(loads) + SOME))
            status = service.kill("serve", how)
            assert status == (0 if how == signal.SIGTERM else -how)
            service.start("serve")


@pytest.mark.fault(ROLLING)
def test_restarting_two_web_processes_in_turn_fails_no_pixel(
    webs: list[Service], front: Nginx, redis: Redis, table: Table
) -> None:
    with visitors(front) as loads:
        restart_in_turn(webs, loads, signal.SIGTERM)
    table.add(settle(redis, loads, ROLLING, ROUNDS * 2))
    assert [set(load.statuses) for load in loads] == [{200}, {204}] * 2


@pytest.mark.fault(KILLED)
def test_a_hit_that_a_killed_process_may_have_stored_is_not_sent_to_the_other(
    webs: list[Service], front: Nginx, redis: Redis, table: Table
) -> None:
    with visitors(front) as loads:
        restart_in_turn(webs, loads, signal.SIGKILL)
    table.add(settle(redis, loads, KILLED, ROUNDS * 2))
    assert {what for load in loads for what in load.statuses} <= {200, 204, 502}
