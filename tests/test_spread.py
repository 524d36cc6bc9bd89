"""Connections spread over the workers of a web process, also while one of them hangs."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from hitwall.spread import SLACK, Spread
from tests.hanging import hanging
from tests.service import Service, running
from tests.waiting import until

MANY = 40
ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class Worker:
    place: int | None = None


def test_who_has_more_than_somebody_else_leaves_the_next_connection_to_him() -> None:
    spread = Spread(2)
    workers = [Worker(), Worker()]
    for worker in workers:
        spread.enter(worker)
    assert [worker.place for worker in workers] == [0, 1]
    spread.tell(0, 100)
    assert not spread.is_ahead(100)  # the other takes none yet
    spread.tell(1, 10)
    assert [spread.is_ahead(10 + SLACK), spread.is_ahead(11 + SLACK)] == [False, True]
    spread.leave(workers[1])
    assert not spread.is_ahead(100)


def test_a_worker_gets_the_place_of_one_that_has_ended_and_none_where_all_are_taken() -> None:
    spread = Spread(1)
    first, second, third = Worker(), Worker(), Worker()
    for worker in (first, second, third):
        spread.enter(worker)
    assert [first.place, second.place, third.place] == [0, 1, None]
    spread.tell(third.place, 5)
    spread.leave(third)
    spread.leave(first)
    spread.enter(third)
    assert third.place == 0


def connected(service: Service) -> list[int]:
    """How many connections each worker has."""
    port = f":{service.port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(port) and row[3] == "01"}
    return [len(ours & set(links(pid))) for pid in service.workers()]


def links(pid: int) -> Iterator[str]:
    for file in Path(f"/proc/{pid}/fd").iterdir():
        try:
            yield os.readlink(file)
        except FileNotFoundError:  # closed meanwhile
            continue


def ask(service: Service, stack: ExitStack) -> None:
    """On a connection that stays open."""
    door = stack.enter_context(closing(socket.create_connection(("127.0.0.1", service.port), 10)))
    door.sendall(ASK)
    assert door.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.fixture
def two(redis: Redis, redis_url: str) -> Iterator[Service]:
    """Two workers that both take connections."""
    with running(redis_url, workers="2", canary="0") as service:
        while not all(connected_by(service, 1)):
            pass
        yield service


def connected_by(service: Service, connections: int) -> list[int]:
    """How many of so many new ones each worker gets."""
    with ExitStack() as stack:
        for _ in range(connections + 4):
            ask(service, stack)
        return connected(service)


def test_connections_that_stay_are_shared_out_and_a_worker_that_hangs_holds_up_nobody(two: Service) -> None:
    until(lambda: sum(connected(two)) == 0)
    with ExitStack() as stack:
        for _ in range(MANY):
            ask(two, stack)
        assert sum(connected(two)) == MANY
        assert min(connected(two)) >= MANY / 4, connected(two)
    until(lambda: sum(connected(two)) == 0)
    with ExitStack() as stack, hanging(two.workers()[0]):
        begun = time.monotonic()
        for _ in range(MANY):
            ask(two, stack)
        assert time.monotonic() - begun < 5
        assert connected(two) == [0, MANY]
