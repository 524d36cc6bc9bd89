"""Two web processes behind the nginx that we ship: one stops, visitors notice nothing."""

import http.client
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from tests.faults.ledger import FULL, Table, settle
from tests.faults.load import Load
from tests.hits import FIREFOX
from tests.nginx import Nginx, nginx
from tests.service import Service
from tests.waiting import until
from tracker.raw import START, RawLog

ROLLING = "Rolling restart of two web processes behind nginx"
KILLED = "A web process behind nginx is killed"
ROUNDS = 10 if FULL else 2
SOME = 200  # hits between two restarts
TOKEN = "a-token-that-nobody-guesses"
FRAME_PAUSE = (
    0.3  # seconds; frames are 0.25 s apart, and a proxy that held them back would bring several at once
)


@pytest.fixture
def webs(redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[list[Service]]:
    """Two web processes and a counter on one Redis."""
    shared = {"token": TOKEN, "trusted_proxies": "1"}
    both = [Service(redis_url, data=str(tmp_path / name), **shared) for name in ("a", "b")]
    try:
        both[0].start("count")
        for service in both:
            service.start("serve")
        yield both
    finally:
        for service in both:
            service.stop()


@pytest.fixture
def front(webs: list[Service], tmp_path: Path) -> Iterator[Nginx]:
    first, second = webs
    with nginx(tmp_path, (first.port, second.port)) as started:
        yield started


@contextmanager
def visitors(front: Nginx) -> Iterator[list[Load]]:
    """GET and POST through nginx, as fast as they are answered and with pauses."""
    loads = [
        Load(front.base, "example.com", 100_000, pace, post, 120.0)
        for pace in (0.0, 0.02)
        for post in (False, True)
    ]
    try:
        for load in loads:
            load.start(2)
        yield loads
    finally:
        for load in loads:
            load.stop()


def acknowledged(loads: list[Load]) -> int:
    return sum(len(load.acknowledged) for load in loads)


def more(loads: list[Load], number: int) -> bool:
    return acknowledged(loads) >= number


def restart(service: Service, how: signal.Signals) -> None:
    status = service.kill("serve", how)
    assert status == (0 if how == signal.SIGTERM else -how)
    service.start("serve")


def ask(front: Nginx, target: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    door = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        door.request("GET", target, headers=named)
        answer = door.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        door.close()


@pytest.mark.fault(ROLLING)
def test_restarting_two_web_processes_in_turn_fails_no_pixel(
    webs: list[Service], front: Nginx, redis: Redis, table: Table
) -> None:
    with visitors(front) as loads:
        for _ in range(ROUNDS):
            for service in webs:
                until(partial(more, loads, acknowledged(loads) + SOME))
                restart(service, signal.SIGTERM)
    table.add(settle(redis, loads, ROLLING, ROUNDS * 2))
    assert [set(load.statuses) for load in loads] == [{200}, {204}] * 2


@pytest.mark.fault(KILLED)
def test_a_hit_that_a_killed_process_may_have_stored_is_not_sent_to_the_other(
    webs: list[Service], front: Nginx, redis: Redis, table: Table
) -> None:
    with visitors(front) as loads:
        for _ in range(ROUNDS):
            for service in webs:
                until(partial(more, loads, acknowledged(loads) + SOME))
                restart(service, signal.SIGKILL)
    table.add(settle(redis, loads, KILLED, ROUNDS * 2))
    assert {what for load in loads for what in load.statuses} <= {200, 204, 502}


def test_frames_pass_nginx_one_by_one(webs: list[Service], front: Nginx) -> None:
    webs[0].hit()
    door = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "gzip"}
    door.request("GET", "/live?channel=example.com&bucket=month", headers=headers)
    stream = door.getresponse()
    assert (stream.status, stream.getheader("Content-Encoding")) == (200, None)
    came = []
    for line in stream:
        if line.startswith(b"data:"):
            came.append(time.monotonic())
            webs[1].hit()  # so that there is another
        if len(came) == 4:
            break
    door.close()
    assert came[-1] - came[0] > 2 * 0.25  # not all at once


def test_the_token_is_in_no_log_of_nginx_and_pixels_are_in_none(front: Nginx, webs: list[Service]) -> None:
    status, headers, _ = ask(front, f"/?site=example.com&token={TOKEN}")
    assert (status, headers["Location"]) == (302, "/?site=example.com")
    assert ask(front, "/a.gif?url=https://example.com/secret", User_Agent=FIREFOX)[0] == 200
    for service in webs:
        service.kill("serve")
    assert ask(front, f"/?token={TOKEN}")[0] == 502
    until(lambda: " 502 " in front.access.read_text())
    written = front.access.read_text() + front.errors.read_text()
    assert TOKEN not in written
    assert "secret" not in written
    assert "a.gif" not in written


def test_the_address_that_counts_is_the_one_nginx_saw(front: Nginx, redis: Redis) -> None:
    ask(
        front,
        "/a.gif?url=https://example.com/",
        User_Agent=FIREFOX,
        X_Forwarded_For="203.0.113.7, 198.51.100.1",
    )
    [(_, hit)] = RawLog(redis).after("example.com", START, 10)
    assert hit
    assert hit.remote == "127.0.0.1"


def test_static_files_and_answers_are_compressed_and_bounds_hold(front: Nginx) -> None:
    status, headers, _ = ask(front, "/static/wall.css", Accept_Encoding="gzip")
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert "nginx/" not in str(headers)  # no version for strangers
    assert ask(front, f"/?{'a' * 20_000}")[0] == 414
    with socket.create_connection(("127.0.0.1", front.port), 10) as door:
        door.sendall(b"POST /a.gif HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        assert door.recv(100).startswith(b"HTTP/1.1 413 ")
