"""Requests and messages that no honest program sends: refused with a reason, and the process lives."""

import socket
from collections.abc import Iterator

import pytest
from redis import Redis

from hitwall.redis_server import RedisServer
from tests import smuggling
from tests.faults.ledger import Table, settle
from tests.faults.load import load
from tests.service import Service, running, total
from tests.waiting import until
from tracker import keys
from tracker.raw import START, RawLog

POST = b"POST /a.gif?url=https://example.com/ HTTP/1.1\r\nHost: a\r\n"
SITE = "example.com"
LAST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
TARGET = "/a.gif?url=https://example.com/"

# What is bounded: what follows the method, the body, and how it is refused.
BOUNDS: dict[str, tuple[str, bytes, int]] = {
    "a url of 9 kB": (f"{TARGET}{'a' * 9_000}", b"", 414),
    "a url of 5 kB": (f"{TARGET}{'a' * 5_000}", b"", 414),
    "51 parameters": (TARGET + "&a=1" * 50, b"", 400),
    "a header of 9 kB": (f"{TARGET}|Referer: {'a' * 9_000}", b"", 431),
    "101 headers": (TARGET + "|X-A: 1" * 101, b"", 431),
    "headers of 40 kB": (TARGET + f"|X-A: {'a' * 8_000}" * 5, b"", 431),
    "a posted hit of 20 kB": (TARGET, b"t=" + b"a" * 20_000, 413),
    "51 posted parameters": (TARGET, b"&".join([b"a=1"] * 51), 400),
    "hits of 9 MB": ("/api/hits|Content-Type: application/json", b" " * 9_000_000, 413),
    "a body of 17 MB": ("/absent", b" " * 17_000_000, 413),
}
FORWARDED = {
    "one line": (["198.51.100.1"], "198.51.100.1"),
    "two lines": (["198.51.100.1", "198.51.100.2"], "198.51.100.2"),
    "what the visitor wrote before": (["127.0.0.1, 10.0.0.1, 198.51.100.3"], "198.51.100.3"),
    "with a port": (["198.51.100.4:443"], "198.51.100.4"),
    "IPv6 in brackets with a port": (["[2001:db8::7]:443"], "2001:db8::7"),
    "IPv4 in IPv6": (["::ffff:198.51.100.5"], "198.51.100.5"),
    "garbage": (["198.51.100.6, <script>"], "127.0.0.1"),
    "an address of 8 kB": (["1" * 8_000], "127.0.0.1"),
    "nothing": ([""], "127.0.0.1"),
}


@pytest.fixture(scope="module")
def door(redis_server: RedisServer) -> Iterator[Service]:
    """A web process behind a proxy, for all of these tests: what they send must not hurt it."""
    service = Service(redis_server.url, trusted_proxies="1")
    try:
        service.start("serve")
        yield service
        assert service.processes["serve"].poll() is None
    finally:
        service.stop()


@pytest.mark.fault("Requests that two servers could read differently")
@pytest.mark.parametrize("name", smuggling.REFUSED)
def test_a_request_that_two_servers_could_read_differently_is_refused_and_the_connection_closed(
    door: Service, redis: Redis, name: str
) -> None:
    request, expected = smuggling.REFUSED[name]
    answer = smuggling.talk(door.port, request)
    [status] = smuggling.statuses(answer)
    assert status in expected
    assert b"\r\nX-Hitwall: " in answer
    assert b"\r\nConnection: close\r\n" in answer
    assert redis.exists(keys.raw(SITE)) == 0


@pytest.mark.parametrize("name", smuggling.PLAIN)
def test_what_is_in_a_refused_request_is_no_request_and_the_next_one_is(
    door: Service, redis: Redis, name: str
) -> None:
    request, expected = smuggling.PLAIN[name]
    answer = smuggling.talk(door.port, request + LAST)
    assert smuggling.statuses(answer) == [expected, 200]
    assert answer.endswith(b"ok\n")
    assert redis.exists(keys.raw(SITE)) == 0


@pytest.mark.parametrize("name", BOUNDS)
def test_what_is_too_much_is_refused(door: Service, redis: Redis, name: str) -> None:
    said, body, expected = BOUNDS[name]
    target, *headers = said.split("|")
    lines = [
        f"{'POST' if body else 'GET'} {target} HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        *headers,
    ]
    length = [f"Content-Length: {len(body)}"] if body else []
    request = "\r\n".join([*lines, *length, "", ""]).encode() + body
    assert smuggling.statuses(smuggling.talk(door.port, request)) == [expected]
    assert redis.exists(keys.raw(SITE)) == 0


def test_the_client_is_who_our_proxy_saw_however_often_and_whatever_others_wrote(
    door: Service, redis: Redis
) -> None:
    for lines, _ in FORWARDED.values():
        headers = b"".join(b"X-Forwarded-For: %b\r\n" % line.encode() for line in lines)
        head = f"GET {TARGET} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n".encode()
        assert smuggling.statuses(smuggling.talk(door.port, head + headers + b"\r\n")) == [200]
    seen = [hit.remote if hit else "" for _, hit in RawLog(redis).after(SITE, START, 100)]
    assert seen == [address for _, address in FORWARDED.values()]


def test_a_visitor_who_goes_in_the_middle_of_a_post_is_no_hit(service: Service, redis: Redis) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as door:
        door.sendall(POST + b"Content-Length: 100\r\n\r\nurl=https://example.com/half")
        door.shutdown(socket.SHUT_WR)
        assert door.recv(65_536).startswith(b"HTTP/1.1 400")
    assert redis.exists(keys.raw(SITE)) == 0


@pytest.mark.parametrize("target", [b"/live?channel=\xff", b"/?token=\xff", b"/\xff", b"/api/\xff/hits"])
def test_a_byte_that_is_no_utf_8_is_refused(door: Service, target: bytes) -> None:
    request = b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    [status] = smuggling.statuses(smuggling.talk(door.port, request))
    assert status < 500


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


@pytest.mark.fault("A flood from one address")
def test_a_flood_from_one_address_is_cut_off_and_what_was_answered_is_counted(
    redis: Redis, redis_url: str, table: Table
) -> None:
    with running(redis_url, rate="300/hour") as service:
        with load(service.base, most=5_000) as flood:
            until(lambda: flood.statuses[429] >= 500)
        assert flood.statuses[200] + flood.statuses[204] <= 300
        row = settle(redis, flood, "A flood from one address", settings=service.settings)
    assert row.stored <= 300
    table.add(row)
