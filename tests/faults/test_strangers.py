"""Requests and messages that no honest program sends: refused with a reason, and the process lives."""

import socket

import pytest
from redis import Redis

from tests.service import Service, total
from tests.waiting import until
from tracker import keys

HEAD = b"GET /a.gif?url=https://example.com/ HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /a.gif?url=https://example.com/ HTTP/1.1\r\nHost: a\r\n"
SITE = "example.com"

STRANGE = {
    "a folded line": (HEAD + b"X-A: 1\r\n 2\r\n\r\n", b"400"),
    "a blank before the colon": (HEAD + b"X-A : 1\r\n\r\n", b"400"),
    "a bare line feed": (HEAD + b"X-A: 1\n\r\n", b"400"),
    "NUL in a header": (HEAD + b"X-A: \0\r\n\r\n", b"400"),
    "no header at all": (HEAD + b"nonsense\r\n\r\n", b"400"),
    "two hosts": (HEAD + b"Host: b\r\n\r\n", b"400"),
    "two lengths": (POST + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n", b"400"),
    "length and coding": (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
    "a length with a sign": (POST + b"Content-Length: +5\r\n\r\nabcde", b"400"),
    "an unknown coding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", b"400"),
    "a chunked hit": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
    "too many headers": (HEAD + b"X-A: 1\r\n" * 101 + b"\r\n", b"431"),
    "a header of 64 kB": (HEAD + b"X-A: " + b"a" * 65_536 + b"\r\n\r\n", b"431"),
    "a url of 100 kB": (b"GET /a.gif?url=https://e.com/" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"414"),
}


def send(service: Service, request: bytes) -> bytes:
    """All that comes back until the connection is closed, or the answer of one that is kept."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as door:
        door.sendall(request)
        return door.recv(65_536)


def test_a_request_that_two_servers_could_read_differently_is_refused_with_a_reason(
    service: Service, redis: Redis
) -> None:
    for name, (request, status) in STRANGE.items():
        answer = send(service, request)
        assert answer.startswith(b"HTTP/1.1 " + status), name
        assert b"X-Hitwall: " in answer, name
    assert redis.exists(keys.raw(SITE)) == 0
    assert service.hit().status == 200


def test_a_visitor_who_goes_in_the_middle_of_a_post_is_no_hit(service: Service, redis: Redis) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as door:
        door.sendall(POST + b"Content-Length: 100\r\n\r\nurl=https://example.com/half")
        door.shutdown(socket.SHUT_WR)
        assert door.recv(65_536).startswith(b"HTTP/1.1 400")
    assert redis.exists(keys.raw(SITE)) == 0


@pytest.mark.parametrize("target", [b"/live?channel=\xff", b"/?token=\xff"])
def test_a_byte_that_is_no_utf_8_is_refused(service: Service, target: bytes) -> None:
    answer = send(service, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert not answer.startswith(b"HTTP/1.1 500")


def test_a_foreign_message_on_the_channel_leaves_the_wall_right(service: Service, redis: Redis) -> None:
    service.hit()
    with service.frames(bucket="month") as frames:
        next(frame for frame in frames if frame["hits"] == 1)
        for message in (b"garbage", b"", b"\xc1", b"\x90", b"\x97" + b"\0" * 7):
            redis.publish(keys.live(SITE), message)
        service.hit()
        assert next(frame for frame in frames if frame["hits"] == 2)["notes"] == []


def test_an_emptied_redis_counts_the_next_hit(service: Service, redis: Redis) -> None:
    service.hit()
    until(lambda: total(redis) == 1)
    redis.flushdb()
    service.hit()
    until(lambda: total(redis) == 1)
    assert redis.smembers(keys.SITES) == {SITE.encode()}
