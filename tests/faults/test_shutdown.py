"""SIGTERM under load: every request that got through has its answer, and every acknowledged hit is stored."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import pytest
from redis import Redis

from tests.faults.ledger import FULL, Table, settle
from tests.faults.load import Load, together
from tests.service import Service, running
from tests.waiting import until

FAULT = "SIGTERM, with 1,000 walls open and hits coming in"
ROUNDS = 5 if FULL else 1
STREAMS = 1000
LONGEST = 120.0  # seconds that visitors click at most
LAW = 5.0  # seconds in which a process has ended
ENDED = b"\r\n0\r\n\r\n"
REFUSED = "ConnectionRefusedError"  # nothing was sent: whoever meets it may try elsewhere


class NewConnections(Load):
    """A load with a connection of its own for each hit: many wait to be accepted when the process stops."""

    def _send(self, door: HTTPConnection, path: str, visitor: str) -> int:
        door.close()
        return super()._send(door, path, visitor)


@contextmanager
def all_kinds(base: str) -> Iterator[list[Load]]:
    """GET and POST, on kept connections, on new ones, and on kept ones that are idle in between."""
    loads = [
        kind(base, "example.com", 50_000, pace, post, LONGEST)
        for kind, pace in ((Load, 0.0), (NewConnections, 0.0), (Load, 0.05))
        for post in (False, True)
    ]
    with together(loads, 3):
        yield loads


@contextmanager
def streams(service: Service, number: int) -> Iterator[list[socket.socket]]:
    """So many open streams that nobody reads yet."""
    with ExitStack() as opened:
        walls: list[socket.socket] = []
        for _ in range(number):
            wall = until(partial(stream, service))
            assert wall
            walls.append(opened.enter_context(wall))
        yield walls


def stream(service: Service) -> socket.socket | None:
    """An open stream; None where there is none just now, as while Redis is slow."""
    wall = socket.create_connection(("127.0.0.1", service.port), 10)
    wall.sendall(b"GET /live?channel=example.com&bucket=month HTTP/1.1\r\nHost: localhost\r\n\r\n")
    if wall.recv(12) == b"HTTP/1.1 200":
        return wall
    wall.close()
    return None


def read_on(wall: socket.socket) -> bytes:
    """What a stream still brings until it ends."""
    pieces = []
    while piece := wall.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def all_have(loads: list[Load], number: int) -> bool:
    return min(len(load.acknowledged) for load in loads) >= number


def all_are_refused(loads: list[Load]) -> bool:
    return all(load.statuses[REFUSED] for load in loads)


@pytest.mark.fault(FAULT)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_law_9_sigterm_with_1000_open_streams_and_load_ends_in_time_and_loses_nothing(
    workers: str, redis: Redis, redis_url: str, tmp_path: Path, table: Table
) -> None:
    done: list[Load] = []
    with running(redis_url, workers=workers, data=str(tmp_path)) as service:
        for _ in range(ROUNDS):
            service.hit()
            with streams(service, STREAMS) as walls, all_kinds(service.base) as loads:
                done += loads
                until(partial(all_have, loads, 50))
                begun = time.monotonic()
                assert service.kill("serve", signal.SIGTERM) == 0
                assert time.monotonic() - begun < LAW
                until(partial(all_are_refused, loads))
                ends = [read_on(wall)[-40:] for wall in walls]
                assert [end for end in ends if not end.endswith(ENDED)] == []  # none was cut off
            service.start("serve")
        assert {what for load in done for what in load.statuses} == {200, 204, REFUSED}
        table.add(settle(redis, done, FAULT, ROUNDS, settings=service.settings))
