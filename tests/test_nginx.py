"""The nginx that we ship, in front of two web processes: what it passes on, keeps back and writes down."""

import http.client
import socket
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from hitwall.redis_server import RedisServer
from tests.hits import FIREFOX
from tests.nginx import Nginx, nginx, two_webs
from tests.service import Service
from tests.waiting import until
from tracker.raw import START, RawLog

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture(scope="module")
def webs(redis_server: RedisServer) -> Iterator[list[Service]]:
    """Two web processes and a counter, for all tests of this module; nobody empties Redis meanwhile."""
    with Redis.from_url(redis_server.url) as client:
        client.flushdb()
    with two_webs(redis_server.url, token=TOKEN) as both:
        yield both


@pytest.fixture(scope="module")
def front(webs: list[Service], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    first, second = webs
    with nginx(tmp_path_factory.mktemp("nginx"), (first.port, second.port)) as started:
        yield started


def ask(front: Nginx, target: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    door = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        door.request("GET", target, headers=named)
        with door.getresponse() as answer:
            return answer.status, answer.headers, answer.read()
    finally:
        door.close()


def test_frames_pass_nginx_one_by_one(webs: list[Service], front: Nginx) -> None:
    webs[0].hit()
    door = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "gzip"}
    door.request("GET", "/live?channel=example.com&bucket=month", headers=headers)
    came: list[float] = []
    with door.getresponse() as stream:
        assert (stream.status, stream.getheader("Content-Encoding")) == (200, None)
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
    for service in webs:
        service.start("serve")
    written = front.access.read_text() + front.errors.read_text()
    assert TOKEN not in written
    assert "secret" not in written
    assert "a.gif" not in written


def test_the_address_that_counts_is_the_one_nginx_saw(front: Nginx, redis_url: str) -> None:
    spoofed = {"User_Agent": FIREFOX, "X_Forwarded_For": "203.0.113.7, 198.51.100.1"}
    assert ask(front, "/a.gif?url=https://address.example/", **spoofed)[0] == 200
    with Redis.from_url(redis_url) as redis:
        [(_, hit)] = RawLog(redis).after("address.example", START, 10)
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
