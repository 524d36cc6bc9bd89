"""Walls that are many, slow, silent or gone: doors answer, memory stays, slots come back."""

import ctypes
import http.client
import json
import resource
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.faults.ledger import FULL, Table, settle
from tests.faults.load import load
from tests.service import Service, running
from tests.waiting import until

TAKEN = "As many walls open as may be"
VANISHED = "Walls that vanish without a word"
SILENT = "Walls that never read"
STREAMS = 1000 if FULL else 200
GONE = 20.0  # seconds until a dead stream's slot is free
SLOW = 200  # browsers that never read
SLOW_MOST = 40.0  # seconds until they have lost their slots: what the kernels take has to be there first
FEW = 256  # open files
BOUND = 24_000  # kB that a web process may grow by for them
MANY = 20  # frames, of some 2 kB each: more than wait for one who does not read
SMALL = 4096  # bytes that a slow browser's kernel takes
ASK = b"GET /live?channel=example.com&bucket=month HTTP/1.1\r\nHost: localhost\r\n\r\n"
SO_ATTACH_FILTER = 26
NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF: drop every packet


def wall(service: Service, room: int = 0) -> socket.socket:
    """A stream that has begun; `room` is what its kernel takes of it unread."""
    opened = socket.socket()
    if room:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    opened.settimeout(10)
    opened.connect(("127.0.0.1", service.port))
    opened.sendall(ASK)
    assert opened.recv(12) == b"HTTP/1.1 200"
    return opened


@contextmanager
def walls(service: Service, number: int, room: int = 0) -> Iterator[list[socket.socket]]:
    with ExitStack() as opened:
        yield [opened.enter_context(wall(service, room)) for _ in range(number)]


def vanish(client: socket.socket) -> None:
    """From here on its kernel hears nothing and says nothing, like one whose cable was pulled."""
    kept = ctypes.create_string_buffer(NOTHING)
    client.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(kept)))


def has_room(service: Service) -> bool:
    """Whether another stream begins."""
    door = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    try:
        door.request("GET", "/live?channel=example.com&bucket=month")
        with door.getresponse() as answer:
            return answer.status == 200
    finally:
        door.close()


def peak(service: Service) -> int:
    """Most kB of memory that the web process had which serves."""
    [worker] = service.workers()
    status = Path(f"/proc/{worker}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def timed(service: Service) -> float:
    begun = time.monotonic()
    assert service.hit().status == 200
    return time.monotonic() - begun


@pytest.fixture
def full(redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Service]:
    """A service that has no room for more than STREAMS walls."""
    with running(redis_url, streams=str(STREAMS), data=str(tmp_path)) as service:
        service.hit()
        yield service


@pytest.mark.fault(TAKEN)
def test_law_8_with_all_streams_taken_doors_are_as_quick_as_with_none(
    full: Service, redis_url: str, tmp_path: Path, redis: Redis, table: Table
) -> None:
    free = Service(redis_url, data=str(tmp_path / "free"))
    try:
        free.start("serve")
        with walls(full, STREAMS), load(full.base, pace=0.02, visitors=2) as visitors:
            until(lambda: not has_room(full))
            both = [(timed(full), timed(free)) for _ in range(400)]
    finally:
        free.stop()
    with_walls, without = (p99(list(times)) for times in zip(*both, strict=True))
    assert with_walls < 5 * without + 0.1
    table.add(settle(redis, visitors, TAKEN))


@pytest.mark.fault(VANISHED)
def test_streams_of_vanished_browsers_are_free_again_within_20_s(full: Service) -> None:
    with walls(full, STREAMS) as opened:
        assert not has_room(full)
        for client in opened:
            vanish(client)
        until(lambda: has_room(full), GONE)


def test_walls_may_be_more_than_the_files_that_a_shell_allows(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, hard))
    try:
        service = Service(redis_url, streams=str(2 * FEW), data=str(tmp_path))
        service.start("serve")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        service.hit()
        with walls(service, 2 * FEW):
            assert service.hit().status == 200
    finally:
        service.stop()


def test_streams_of_browsers_that_closed_are_free_at_the_next_frame(full: Service) -> None:
    with walls(full, STREAMS):
        assert not has_room(full)
    until(lambda: has_room(full), GONE)


@pytest.mark.fault(SILENT)
def test_browsers_that_never_read_cost_little_lose_their_slot_and_slow_nobody(
    redis: Redis, redis_url: str, tmp_path: Path, table: Table
) -> None:
    with running(redis_url, streams=str(SLOW + 1), data=str(tmp_path)) as service:
        service.hit()
        with service.frames(bucket="month") as frames:
            next(frames)
            before = peak(service)
            with walls(service, SLOW, SMALL), load(service.base, pace=0.01, visitors=2) as visitors:
                assert next(frame for frame in frames if frame["watching"] == SLOW + 1)
                end = time.monotonic() + SLOW_MOST
                apart = [time.monotonic()]
                while next(frames)["watching"] > 1:
                    apart.append(time.monotonic())
                    assert apart[-1] < end, "they hold their slots"
                grown = peak(service) - before
        assert grown < BOUND
        assert max(b - a for a, b in pairwise(apart)) < 3  # who reads was not kept waiting
        table.add(settle(redis, visitors, SILENT))


def test_a_slow_browser_gets_the_newest_frame_and_skips_the_rest(redis: Redis, redis_url: str) -> None:
    with running(redis_url) as service:
        service.hit()
        with wall(service, SMALL) as slow, service.frames(bucket="month") as frames:
            with load(service.base, pace=0.01, visitors=1) as visitor:
                for _ in range(MANY):
                    next(frames)
            newest = 1 + len(visitor.acknowledged)
            assert next(frame for frame in frames if frame["hits"] == newest)
            got = read_until(slow, newest)
        assert got[-1]["hits"] == newest
        assert len(got) < MANY


def read_until(slow: socket.socket, newest: int) -> list[Any]:
    """The frames that were waiting, up to one with so many hits."""
    got: list[Any] = []
    with slow.makefile("rb") as lines:
        for line in lines:
            if line.startswith(b"data:"):
                got.append(json.loads(line[5:]))
                if got[-1]["hits"] >= newest:
                    break
    return got
