"""HTTPStorage: each hit once in a Hitwall elsewhere, whatever dies in between."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.hits import PROPERTY, hit
from tests.service import Service, running, total
from tests.test_storages import batch, flask_hit, many, paths, ran, stored
from tests.waiting import until
from tracker import keys
from tracker.hit import Hit
from tracker.posted import PostedHit, PostedReader
from tracker.posting import MAX_HIT
from tracker.settings import Settings
from tracker.storage import Away, Unstorable, Writer
from tracker.storage.http import HTTPStorage
from tracker.storage.lines import BODY, bodies, line_of
from tracker.visitors import Visitors

NOW = datetime(2026, 11, 21, 6, 31, 11, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
STORED = b'{"stored":1,"refused":[],"refused_total":0,"repeated":false}'
CERTIFICATE = Path(__file__).with_name("data") / "self-signed.pem"  # of 127.0.0.1, until 2126
LONG = st.text(max_size=40) | st.sampled_from(["x" * 5000, "é" * 5000, "\0" * 600, "a?b#c", "😀" * 2000])
TEXTS = st.dictionaries(LONG, LONG, max_size=120)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats() | LONG,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LONG, inner, max_size=3),
    max_leaves=5,
)
LINES = ("method", "origin", "protocol", "app", "endpoint", "blueprint", "username")
FIELDS = dict.fromkeys((*LINES, *("query", "title", "referrer", "remote", "visitor", "agent", "event")), LONG)
HITS = st.builds(
    Hit,
    at=st.just(NOW),
    site=st.just("example.com"),
    path=LONG,
    source=st.just("flask"),
    language=LONG,
    **FIELDS,
    status=st.integers(-1, 1000),
    bytes=st.integers(-1, 2**40),
    width=st.integers(-1, 2**40),
    headers=TEXTS,
    params=TEXTS,
    ip_info=TEXTS,
    view_args=st.dictionaries(LONG, VALUES, max_size=60),
    track_var=st.dictionaries(LONG, VALUES, max_size=60),
    authorization=st.booleans(),
    seconds=st.floats(allow_nan=False),
)
WHOLE = flask_hit(
    "/blog/gr%C3%B6%C3%9Fe",
    at=NOW,
    query="p=12&q=a%20b",
    params={"p": "12", "q": "a b"},
    title="Blog",
    referrer="https://lobste.rs/s/1",
    remote="2001:db8::1",
    visitor="visitor-1",
    language="de,en;q=0.5",
    event="signup",
    status=201,
    bytes=4011,
    width=1920,
    headers={"DNT": "0"},
    method="POST",
    origin="https://www.example.com:8443",
    protocol="HTTP/1.1",
    app="shop",
    endpoint="blog.show",
    blueprint="blog",
    view_args={"slug": "größe", "page": 2, "draft": False, "ratio": 0.5, "none": None},
    username="anna",
    authorization=True,
    ip_info={"country": "DE", "city": "Köln"},
    seconds=0.25,
    track_var={"plan": "free"},
)


def read(redis: Redis, line: bytes, now: datetime = NOW) -> Hit:
    """What the API door makes of it. Raises where it refuses it."""
    assert len(line) <= MAX_HIT
    return PostedReader(Settings(), Visitors("cookie", redis)).read(
        msgspec.json.decode(line, type=PostedHit), now
    )


def test_every_field_but_the_source_arrives_as_it_is(redis: Redis) -> None:
    assert all(getattr(WHOLE, name) for name in WHOLE.__struct_fields__)
    assert read(redis, line_of(WHOLE)) == msgspec.structs.replace(WHOLE, source="api")
    bare = hit(at=NOW, source="flask", params={})
    assert read(redis, line_of(bare)) == msgspec.structs.replace(bare, source="api")
    told = msgspec.structs.replace(WHOLE, source="api", params={"p": "of its own"})
    assert read(redis, line_of(told)) == told


@given(HITS)
@PROPERTY
def test_no_hit_of_an_application_is_refused_whatever_it_holds(redis: Redis, found: Hit) -> None:
    arrived = read(redis, line_of(found))
    assert (arrived.at, arrived.site) == (found.at, found.site)
    assert line_of(found) == line_of(found)


def test_a_hit_of_the_largest_kind_is_sent_without_what_is_too_much_and_keeps_what_binds(
    redis: Redis,
) -> None:
    much = {f"{n:03}" + "é" * 120: "\0é" * 5000 for n in range(200)}
    found = read(
        redis, line_of(flask_hit(at=NOW, headers={**much, "DNT": "1"}, track_var=much, view_args=much))
    )
    assert found.track_var == found.view_args == {}
    largest = flask_hit(at=NOW, remote="203.0.113.7", headers={**much, "dnt": "1"}, referrer="\0" * 9999)
    assert read(redis, line_of(largest)).remote == "203.0.113.0"


def test_a_surrogate_is_no_reason_to_lose_a_hit(redis: Redis) -> None:
    odd = dict.fromkeys(("title", "agent", "username", "query"), "a\udc80")
    found = read(redis, line_of(flask_hit("/\ud800", at=NOW, **odd, track_var={"a\ud800": "\ud800"})))
    assert (found.path, found.username, found.track_var) == ("/%3F", "a?", {"a?": "?"})


def test_requests_are_small_enough_for_a_proxy_and_the_same_when_hits_come_again() -> None:
    hits = many(500, referrer="https://example.com/" + "r" * 2000)
    parts = list(bodies(hits))
    assert parts == list(bodies(hits))
    assert len(parts) == 3
    assert max(sum(map(len, lines)) + len(lines) for _, lines in parts) <= BODY
    assert [line for _, lines in parts for line in lines] == list(map(line_of, hits))
    assert [first for first, _ in parts] == [0, len(parts[0][1]), len(parts[0][1]) + len(parts[1][1])]
    assert list(bodies([])) == []
    everything = [flask_hit(track_var={f"{n}": "x" * 512 for n in range(50)})] * 40
    assert sum(len(lines) for _, lines in bodies(everything)) == 40


def test_hits_are_stored_and_counted_by_a_hitwall_elsewhere_once(redis: Redis, service: Service) -> None:
    storage = HTTPStorage(service.base + "/")
    assert isinstance(storage, Writer)
    assert not hasattr(storage, "get_usage")
    hits = many(500, at=datetime.now(UTC), referrer="https://example.com/" + "r" * 2000)
    for _ in range(2):
        storage.store(batch(*hits))
    HTTPStorage(service.base).store(batch(*hits))
    storage.store(batch(flask_hit("/next", at=datetime.now(UTC)), position=2))
    assert paths(stored(redis)) == [*paths(hits), "/next"]
    until(lambda: total(redis) == 501)


def test_law_2_hits_are_there_once_though_the_hitwall_is_killed_and_started_again(
    redis: Redis, service: Service
) -> None:
    storage = HTTPStorage(service.base)
    sent = []
    for position in range(2):
        hits = [flask_hit(f"/{position}/{n}", at=datetime.now(UTC)) for n in range(4000)]
        sent += hits
        before = redis.xlen(keys.raw("example.com"))
        sender = threading.Thread(target=insist, args=(storage, batch(*hits, position=position)))
        sender.start()
        until(partial(grown, redis, before))
        service.kill("serve")
        service.start("serve")
        sender.join()
    assert paths(stored(redis)) == paths(sent)
    until(lambda: total(redis) == len(sent))


def grown(redis: Redis, before: int) -> bool:
    return redis.xlen(keys.raw("example.com")) > before


def insist(storage: HTTPStorage, hits: Any) -> None:
    """As an outbox does it."""

    def once() -> bool:
        try:
            storage.store(hits)
        except Away:
            return False
        return True

    until(once, 60)


def test_a_token_lets_hits_in_and_without_it_they_wait(redis: Redis, redis_url: str) -> None:
    now = datetime.now(UTC)
    with running(redis_url, token="a-token-of-the-tests") as service:
        for token in ("", "wrong"):
            with pytest.raises(Away, match=r"answers 401: The API needs the wall's token"):
                HTTPStorage(service.base, token=token).store(batch(flask_hit(at=now)))
        HTTPStorage(service.base, token="a-token-of-the-tests").store(batch(flask_hit(at=now)))
    assert len(stored(redis)) == 1


def test_what_the_hitwall_refuses_is_named_and_the_rest_is_stored(redis: Redis, redis_url: str) -> None:
    now = datetime.now(UTC)
    good, bad = flask_hit(at=now), flask_hit(at=now + 3 * DAY)
    with running(redis_url) as service:
        storage = HTTPStorage(service.base)
        with pytest.raises(Unstorable, match="refused 2 of 4 hits: bad time: at lies between") as some:
            storage.store(batch(good, bad, good, bad))
        assert some.value.places == {1, 3}
        with pytest.raises(Unstorable, match="refused 2 of 2 hits: 422: No hit was stored") as none:
            storage.store(batch(bad, bad, position=2))
        assert none.value.places == {0, 1}
        with pytest.raises(Unstorable, match="Idempotency-Key in use"):
            storage.store(batch(good))
    assert len(stored(redis)) == 2


class Strange(BaseHTTPRequestHandler):
    """Answers as its server says: a status, and a body or None for none at all."""

    def do_POST(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, dict(self.headers)))
        self.rfile.read(int(self.headers["Content-Length"]))  # what is unread would reset the connection
        if server.body is None:
            return
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(server.body)))
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(server.body)

    def log_message(self, *said: Any) -> None:
        """Nothing."""


@contextmanager
def answering(status: int, body: bytes | None) -> Iterator[Any]:
    """A server that is no Hitwall; it remembers what it was asked."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Strange)
    server.status, server.body, server.asked = status, body, []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def base(server: Any) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((status, b"no") for status in (204, 301, 403, 404, 405, 429, 500, 502, 503)),
        *((200, body) for body in (b"", b"<html>Sign in</html>", b"{}", b"[]", b"x" * 300_000, None)),
    ],
)
def test_an_answer_that_is_not_about_the_hits_makes_them_wait(status: int, body: bytes | None) -> None:
    with answering(status, body) as server, pytest.raises(Away, match=f"{base(server)}/api/hits"):
        HTTPStorage(base(server)).store(batch(flask_hit()))
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_hits_that_are_refused_are_given_up_with_the_reason(status: int) -> None:
    said = json.dumps({"detail": "they are no hits", "status": status}).encode()
    with answering(status, said) as server, pytest.raises(Unstorable, match="they are no hits") as refused:
        HTTPStorage(base(server)).store(batch(flask_hit(), flask_hit()))
    assert refused.value.places == {0, 1}


def test_the_address_may_have_a_path_and_the_token_goes_where_it_belongs() -> None:
    with answering(200, STORED) as server:
        HTTPStorage(f"{base(server)}/hitwall/", token="secret").store(batch(flask_hit()))
        HTTPStorage(base(server)).store(batch(flask_hit()))
    [(path, headers), (other, without)] = server.asked
    assert (path, other) == ("/hitwall/api/hits", "/api/hits")
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Idempotency-Key"] == "flask-1-1-0"
    assert "Authorization" not in without


def test_a_hitwall_that_is_not_there_or_does_not_answer_is_away(free_port: int) -> None:
    with pytest.raises(Away, match="refused"):
        HTTPStorage(f"http://127.0.0.1:{free_port}").store(batch(flask_hit()))
    silent = """
        import socket
        from tracker.storage.http import HTTPStorage
        from tests.test_storages import Away, batch, flask_hit
        server = socket.create_server(("127.0.0.1", 0))
        storage = HTTPStorage(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.2)
        try:
            storage.store(batch(flask_hit()))
        except Away as away:
            print("timed out" in str(away))
    """
    assert ran(silent) == "True\n"


@pytest.mark.parametrize(
    "url",
    [
        *("", "stats.example.com", "ftp://stats.example.com", "https://", "https://u:p@stats.example.com"),
        *("https://stats.example.com/?token=x", "https://stats.example.com/#x", "http://a:b"),
    ],
)
def test_an_address_that_is_none_is_refused_where_it_is_given(url: str) -> None:
    with pytest.raises(ValueError, match=r"url takes|[Pp]ort"):
        HTTPStorage(url)


@pytest.mark.parametrize("patched", ["", "from gevent import monkey; monkey.patch_all()"])
def test_a_certificate_is_checked_also_where_gevent_patches_ssl_late(
    patched: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"""
        import sys, warnings
        from tests.test_storages import Away, batch, flask_hit
        from tracker.storage.http import HTTPStorage
        warnings.simplefilter("ignore")
        {patched}
        try:
            print(HTTPStorage(sys.argv[1]).store(batch(flask_hit())))
        except Away as away:
            print("CERTIFICATE_VERIFY_FAILED" in str(away))
    """
    with answering(200, STORED) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        address = base(server).replace("http://", "https://")
        assert ran(code, address) == "True\n"
        assert server.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        assert ran(code, address) == "None\n"


def test_a_token_that_no_header_can_hold_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="printable ASCII") as refused:
        HTTPStorage("https://stats.example.com", token="secret\r\nX: y")
    assert "secret" not in str(refused.value)


def test_it_is_made_before_a_fork_and_under_gevent_before_the_patch(redis: Redis, service: Service) -> None:
    code = """
        import os, sys
        from tests.test_storages import batch, flask_hit
        from tracker.storage.http import HTTPStorage
        from datetime import datetime, UTC
        def send(source):
            hits = [flask_hit("/" + source, at=datetime.now(UTC))]
            for position in range(5):
                storage.store(batch(*hits, source=source, position=position))
        storage = HTTPStorage(sys.argv[1])
        send("before")
        child = os.fork()
        if child:
            send("parent")
            assert os.waitpid(child, 0)[1] == 0
        else:
            send("child")
            from gevent import monkey
            monkey.patch_all()
            send("patched")
    """
    ran(code, service.base)
    found = paths(stored(redis))
    assert {path: found.count(path) for path in found} == {
        "/before": 5,
        "/parent": 5,
        "/child": 5,
        "/patched": 5,
    }
