"""The stream over HTTP: the same bytes from every server, an end, slots that come back."""

import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from hitwall.redis_server import dying_with_parent
from hitwall.web import DOORS
from summaries.live import FIRST
from tests.hits import SITE, hit
from tests.service import ROOT, Service, running
from tests.waiting import until
from tracker.raw import RawLog

TARGET = f"/live?channel={SITE}&bucket=month"
FEW = 2
HERD = 300  # walls; redis-py's pool has 100 connections
MORE = 20  # walls than other connections may be
EVENT = b"event:frame\ndata:{"


@pytest.fixture
def small(redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Service]:
    """A service with room for FEW walls."""
    with running(redis_url, streams=str(FEW), data=str(tmp_path)) as service:
        service.hit()
        yield service


def asked(service: Service, line: str = f"GET {TARGET} HTTP/1.1") -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", service.port), 10)
    opened.sendall(f"{line}\r\nHost: localhost\r\n\r\n".encode())
    return opened


def read_to(opened: socket.socket, mark: bytes, end: bytes = b"") -> bytes:
    """Up to the mark, and to that end after it."""
    found = b""
    while mark not in found or end not in found.partition(mark)[2]:
        piece = opened.recv(65_536)
        assert piece, found
        found += piece
    return found


@contextmanager
def walls(service: Service, number: int) -> Iterator[None]:
    """Each with its head."""
    with ExitStack() as opened:
        for _ in range(number):
            assert opened.enter_context(asked(service)).recv(12) == b"HTTP/1.1 200"
        yield


def status(service: Service) -> int:
    with asked(service) as opened:
        return int(opened.recv(12)[9:])


def test_a_stream_is_in_chunks_or_for_http_1_0_as_it_is_up_to_its_end(small: Service) -> None:
    with asked(small) as chunked, asked(small, f"GET {TARGET} HTTP/1.0") as plain:
        head, _, body = read_to(chunked, EVENT).partition(b"\r\n\r\n")
        assert b"\r\nTransfer-Encoding: chunked" in head
        assert body.lower().startswith(b"%x\r\n%b\r\n" % (len(FIRST), FIRST))
        head, _, body = read_to(plain, EVENT).partition(b"\r\n\r\n")
        assert (b"Transfer-Encoding" in head, b"Content-Length" in head) == (False, False)
        assert body.startswith(FIRST)


def test_a_head_alone_is_asked_for_without_a_stream(small: Service) -> None:
    door = http.client.HTTPConnection("127.0.0.1", small.port, timeout=10)
    try:
        for _ in range(2 * FEW):
            door.request("HEAD", TARGET)
            with door.getresponse() as answer:
                assert (answer.status, answer.read()) == (200, b"")
                assert answer.headers["Content-Type"].startswith("text/event-stream")
    finally:
        door.close()


def test_nothing_follows_a_head_that_is_asked_for_alone_but_the_next_answer(small: Service) -> None:
    for target in (TARGET, "/a.js", "/static/wall.css"):
        with asked(small, f"HEAD {target} HTTP/1.1") as opened:
            opened.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head, _, rest = read_to(opened, b"\r\n\r\nok\n").partition(b"\r\n\r\n")
            assert (head[:12], rest[:12]) == (b"HTTP/1.1 200", b"HTTP/1.1 200"), target


def test_a_wall_that_is_closed_makes_room_for_another_though_nothing_is_sent(
    small: Service, redis: Redis
) -> None:
    for _ in range(3):
        with walls(small, FEW):
            assert status(small) == 503
        until(lambda: status(small) == 200)
    viewers = partial(small.get, "/metrics")
    until(lambda: b"\nhitwall_viewers 0.0\n" in viewers().body)


def test_law_8_more_walls_than_other_connections_leave_the_doors_open(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, DOORS + 1000), hard))
    with running(redis_url, streams=str(DOORS + MORE), data=str(tmp_path)) as service:
        service.hit()
        with walls(service, DOORS + MORE):
            assert status(service) == 503
            assert [service.hit().status for _ in range(MORE)] == [200] * MORE


def test_law_5_all_walls_that_come_back_at_once_after_a_restart_get_their_stream(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    RawLog(redis).append(SITE, [hit()], "test", 1)
    with running(redis_url, streams=str(HERD), data=str(tmp_path)) as service, ExitStack() as opened:
        address = "127.0.0.1", service.port
        herd = [opened.enter_context(socket.create_connection(address, 10)) for _ in range(HERD)]
        for wall in herd:
            wall.sendall(f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert {wall.recv(12) for wall in herd} == {b"HTTP/1.1 200"}


def test_law_12_who_watches_beside_a_stranger_gets_frames_of_its_own(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    with running(redis_url, token="a-token-of-the-tests", public=SITE, data=str(tmp_path)) as service:
        service.hit()
        ours = f"GET {TARGET} HTTP/1.1\r\nAuthorization: Bearer a-token-of-the-tests"
        with asked(service) as stranger, asked(service, ours) as owner:
            for number in range(2, 5):
                service.hit()
                mark = b'"hits":%d,' % number
                got = [read_to(each, mark, b"\nid:") for each in (stranger, owner)]
                assert [b'"ip":[["127.0.0.1",' in each for each in got] == [False, True]
                assert [b'"ip":' in each for each in got] == [False, True]


@contextmanager
def another_server(service: Service) -> Iterator[None]:
    """gunicorn's own worker, which knows of no handing over, at the service's port."""
    command = [
        "gunicorn",
        "--worker-class=gevent",
        f"--bind=127.0.0.1:{service.port}",
        "hitwall.app:create_app()",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env=service.environ,
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=dying_with_parent(),
    )
    try:
        until(lambda: service.answers() or process.poll() is not None)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_server_that_keeps_its_connections_sends_the_same(redis: Redis, redis_url: str) -> None:
    service = Service(redis_url, canary="0")
    RawLog(redis).append(SITE, [hit()], "test", 1)
    with another_server(service):
        for _ in range(2):
            with asked(service) as opened:
                head, _, body = read_to(opened, EVENT).partition(b"\r\n\r\n")
                assert b"\r\nTransfer-Encoding: chunked" in head
                assert body.lower().startswith(b"%x\r\n%b\r\n" % (len(FIRST), FIRST))
