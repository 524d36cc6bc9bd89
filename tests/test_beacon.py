"""The door itself: what it answers, what it stores, what it counts as refused."""

import gzip
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from gevent.event import AsyncResult
from redis import Redis
from werkzeug.test import Client, TestResponse

from tests.hits import SITE
from tracker import group_commit, keys
from tracker.answers import GIF
from tracker.beacon import Beacon
from tracker.connection import connect
from tracker.hit import Hit
from tracker.raw import START, RawLog
from tracker.settings import Settings
from tracker.sites import Sites
from tracker.spool_record import batch_of

SCRIPT = Path(__file__).resolve().parent.parent / "static" / "a.js"
PAGE = "/a.gif?url=https://example.com/"
CROSS = [
    ("Cache-Control", "no-store"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "X-Hitwall, Retry-After"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
    ("X-Content-Type-Options", "nosniff"),
]
REFUSED = {
    "no url": ("/a.gif", 400),
    "not a web page": ("/a.gif?url=data:,x", 400),
    "url too long": (PAGE + "a" * 100_000, 414),
    "broken percent escape": (PAGE + "%", 400),
    "control character": (PAGE + "%00", 400),
    "not UTF-8": (PAGE + "%ED%A0%80", 400),
    "bad number": (PAGE + "&b=-1", 400),
}


class Door:
    """A beacon and a way to ask it, in this process: through WSGI, or as our own server does."""

    def __init__(self, redis: Redis, is_lean: bool, **settings: Any) -> None:
        chosen = Settings(**settings)
        self._is_lean = is_lean
        self.redis = redis
        self.beacon = Beacon(inner, chosen, redis, Sites(chosen, redis), SCRIPT)

    def ask(self, target: str, method: str = "GET", body: str = "", **headers: str) -> TestResponse:
        path, _, query = target.partition("?")
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        is_lean = self._is_lean and path == "/a.gif"
        client = Client(self._lean if is_lean else self.beacon, use_cookies=False)
        return client.open(path, method=method, query_string=query, data=body.encode(), headers=names)

    def _lean(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        """The answer that goes over the wire, from no more of a request than the server hands over."""
        names = ("REQUEST_METHOD", "QUERY_STRING", "REMOTE_ADDR", "CONTENT_LENGTH", "wsgi.input")
        handed = {name: value for name, value in environ.items() if name in names or name.startswith("HTTP_")}
        stored: AsyncResult[bool] = AsyncResult()
        answer = self.beacon.take(handed, stored.set)
        sent = (answer or self.beacon.outcome(environ["REQUEST_METHOD"], bool(stored.get()))).wire("", 0)
        head, body = sent.split(b"\r\n\r\n", 1)
        line, *headers = head.decode().split("\r\n")
        pairs = [tuple(header.split(": ", 1)) for header in headers]
        assert pairs.pop() == ("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
        start(line.removeprefix("HTTP/1.1 "), pairs)
        return [body]

    def paths(self, site: str = SITE) -> list[str]:
        return [hit.path if hit else "?" for _, hit in RawLog(self.redis).after(site, START, 1000)]

    def refused(self) -> dict[bytes, bytes]:
        """Reason -> hits, of whatever day it is."""
        self.beacon._refusals.flush()
        found: list[Any] = [self.redis.hgetall(key) for key in self.redis.scan_iter("hitwall:refused:*")]
        return {reason: hits for day in found for reason, hits in day.items()}


def inner(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    start("418 I'm a teapot", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


@pytest.fixture(params=[False, True], ids=["wsgi", "lean"])
def open_door(redis: Redis, request: pytest.FixtureRequest) -> Iterator[Callable[..., Door]]:
    """Makes doors; what they still have to write at the end belongs to no later test."""
    doors: list[Door] = []

    def make(store: Redis = redis, **settings: Any) -> Door:
        doors.append(Door(store, request.param, **settings))
        return doors[-1]

    yield make
    for door in doors:
        door.beacon._refusals._counts.clear()
        door.beacon._refusals._owed.clear()


def test_a_hit_got_is_stored_and_answered_with_the_pixel(open_door: Callable[..., Door]) -> None:
    door = open_door()
    answer = door.ask(PAGE + "blog")
    assert answer.status == "200 OK"
    assert list(answer.headers) == [("Content-Type", "image/gif"), ("Content-Length", "43"), *CROSS]
    assert answer.data == GIF
    assert (len(GIF), GIF[:6], GIF[-1:]) == (43, b"GIF89a", b";")
    assert door.paths() == ["/blog"]
    assert door.refused() == {}


def test_a_hit_posted_is_stored_and_answered_with_nothing(open_door: Callable[..., Door]) -> None:
    door = open_door()
    answer = door.ask("/a.gif", "POST", "&url=https://example.com/sent&t=Sent")
    assert (answer.status, list(answer.headers), answer.data) == ("204 No Content", CROSS, b"")
    assert door.paths() == ["/sent"]


@pytest.mark.parametrize("reason", REFUSED)
def test_a_refused_hit_gets_the_pixel_and_the_reason_and_is_not_stored(
    open_door: Callable[..., Door], redis: Redis, reason: str
) -> None:
    target, status = REFUSED[reason]
    door = open_door()
    answer = door.ask(target)
    assert (answer.status_code, answer.data) == (status, GIF)
    assert list(answer.headers)[:-1] == [("Content-Type", "image/gif"), ("Content-Length", "43"), *CROSS]
    assert answer.headers["X-Hitwall"].startswith(f"{reason}: ")
    assert redis.dbsize() == 0
    assert door.refused() == {reason.encode(): b"1"}
    assert door.ask(PAGE + "after").status_code == 200


def test_a_refused_post_gets_the_reason_without_a_body(open_door: Callable[..., Door]) -> None:
    answer = open_door().ask("/a.gif", "POST", "t=no+url")
    assert (answer.status_code, answer.data) == (400, b"")
    assert list(answer.headers) == [
        ("Content-Length", "0"),
        *CROSS,
        ("X-Hitwall", answer.headers["X-Hitwall"]),
    ]


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "BREW"])
def test_other_methods_are_refused(open_door: Callable[..., Door], redis: Redis, method: str) -> None:
    door = open_door()
    answer = door.ask(PAGE, method)
    assert (answer.status_code, answer.data) == (405, b"")
    assert answer.headers["Allow"] == "GET, POST, OPTIONS"
    assert redis.dbsize() == 0
    assert door.refused() == {b"bad method": b"1"}


def test_a_preflight_is_allowed_and_is_no_hit(open_door: Callable[..., Door], redis: Redis) -> None:
    door = open_door()
    answer = door.ask(PAGE, "OPTIONS", Origin="https://example.com")
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert answer.headers["Access-Control-Allow-Headers"] == "*"
    assert (door.refused(), redis.dbsize()) == ({}, 0)


def test_a_header_of_64_kb_is_refused(open_door: Callable[..., Door]) -> None:
    answer = open_door().ask(PAGE, User_Agent="a" * 65_536)
    assert (answer.status_code, answer.data) == (431, GIF)


def test_refusals_are_counted_by_reason_and_day_and_expire(
    open_door: Callable[..., Door], redis: Redis
) -> None:
    door = open_door()
    for target in ("/a.gif", "/a.gif?url=ftp://x", "/a.gif?url="):
        door.ask(target)
    assert door.refused() == {b"no url": b"2", b"not a web page": b"1"}
    door.ask("/a.gif")
    assert door.refused() == {b"no url": b"3", b"not a web page": b"1"}
    days = list(redis.scan_iter("hitwall:refused:*"))
    assert {key.kind for day in days if (key := keys.parse(day.decode()))} == {"refused"}
    assert all(0 < redis.ttl(day) <= 40 * 86_400 for day in days)


def test_a_site_that_the_settings_do_not_name_is_refused(open_door: Callable[..., Door]) -> None:
    door = open_door(sites=("example.com", "localhost:8000"))
    assert door.ask(PAGE).status_code == 200
    assert door.ask("/a.gif?url=http://localhost:8000/").status_code == 200
    answer = door.ask("/a.gif?url=https://other.example/")
    assert (answer.status_code, answer.data) == (403, GIF)
    assert answer.headers["X-Hitwall"].startswith("unknown site: ")
    assert door.paths("other.example") == []
    assert door.refused() == {b"unknown site": b"1"}


@pytest.mark.parametrize(
    ("page", "is_ours"),
    [
        ("https://example.com/", True),
        ("https://www.Example.com/", True),
        ("https://example.com:8443/", True),
        ("https://blog.example.com./a?b=https://evil.example", True),
        ("http://localhost:3000/", True),
        ("/only/a/path", True),
        ("https://evil.example/", False),
        ("https://notexample.com/", False),
        ("https://example.com.evil.example/", False),
        ("https://example.com@evil.example/", False),
        ("https://com/", False),
        ("http://127.0.0.1/", False),
        ("http://[::1]/", False),
    ],
)
def test_a_page_of_a_foreign_host_does_not_count_for_the_site_that_it_claims(
    open_door: Callable[..., Door], page: str, is_ours: bool
) -> None:
    door = open_door(sites=("example.com", "localhost:8000"))
    for answer in (
        door.ask(f"/a.gif?s=example.com&url={page}"),
        door.ask("/a.gif?s=example.com", "POST", f"url={page}"),
    ):
        assert answer.status_code == ((200, 204) if is_ours else (403, 403))[answer.data == b""]
    assert len(door.paths()) == 2 * is_ours
    assert door.refused() == ({} if is_ours else {b"unknown site": b"2"})


def test_law_10_sites_beyond_the_most_are_refused_and_known_ones_go_on(
    open_door: Callable[..., Door], redis: Redis
) -> None:
    door = open_door(max_sites=2)
    statuses = [
        door.ask(f"/a.gif?url=https://{host}/").status_code for host in ("a.de", "b.de", "c.de", "a.de")
    ]
    assert statuses == [200, 200, 403, 200]
    assert redis.smembers(keys.SITES) == {b"a.de", b"b.de"}
    assert door.refused() == {b"too many sites": b"1"}
    assert open_door(max_sites=2).ask("/a.gif?url=https://c.de/").status_code == 403


@pytest.mark.parametrize("sites", [(), (SITE,)], ids=["any site", "named sites"])
@pytest.mark.parametrize("visitor", ["cookie", "hash"])
def test_law_7_with_redis_out_of_reach_the_pixel_is_answered_and_the_hit_waits_on_disk(
    open_door: Callable[..., Door], nowhere: Redis, tmp_path: Path, sites: tuple[str, ...], visitor: str
) -> None:
    door = open_door(nowhere, sites=sites, visitor=visitor, data=tmp_path)
    assert [door.ask(PAGE + str(n)).status_code for n in range(3)] == [200] * 3
    assert door.ask(PAGE + "3", "POST", "").status_code == 204
    hits = spooled_hits(tmp_path)
    assert [hit.path for hit in hits] == ["/0", "/1", "/2", "/3"]
    assert len({hit.visitor for hit in hits}) == 1  # with a salt of this process's own, where that is needed
    assert bool(hits[0].visitor) == (visitor == "hash")


def test_law_7_without_redis_and_disk_the_pixel_is_answered_with_503_in_time(
    open_door: Callable[..., Door], nowhere: Redis, tmp_path: Path
) -> None:
    (tmp_path / "spool").touch()  # where the directory should be
    door = open_door(nowhere, data=tmp_path)
    answer = door.ask(PAGE)
    assert (answer.status_code, answer.data) == (503, GIF)
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["X-Hitwall"].startswith("not stored: ")
    assert door.ask(PAGE, "POST", "").status_code == 503
    door.beacon._refusals.flush()
    assert sum(door.beacon._refusals._owed.values()) == 2  # kept until Redis takes them


def test_law_10_while_redis_is_away_made_up_sites_are_bounded_and_known_ones_pass(
    open_door: Callable[..., Door], nowhere: Redis, tmp_path: Path
) -> None:
    door = open_door(nowhere, max_sites=5, data=tmp_path)
    statuses = [door.ask(f"/a.gif?url=https://{n}.example/").status_code for n in range(8)]
    assert statuses == [200] * 5 + [403] * 3
    assert door.ask("/a.gif?url=https://0.example/").status_code == 200


def spooled_hits(data: Path) -> list[Hit]:
    """Those of all batches of the file that a door has written, done or not."""
    [file] = (data / "spool").glob("door.*.spool")
    records = file.read_bytes().splitlines(keepends=True)
    return [hit for record in records for hit in batch_of(record) or ()]


@pytest.fixture
def nowhere(free_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """A Redis that nobody has started; and there is little time."""
    monkeypatch.setattr(group_commit, "DEADLINE", 0.1)
    with connect(f"redis://127.0.0.1:{free_port}/0") as client:
        yield client


def test_a_hit_keeps_its_site_and_the_door_the_others_apart(open_door: Callable[..., Door]) -> None:
    door = open_door(trusted_proxies=1)
    door.ask(PAGE + "one", X_Forwarded_For="1.1.1.1, 203.0.113.7")
    door.ask("/a.gif?url=https://www.example.com/two&s=other.example")
    assert (door.paths(), door.paths("other.example")) == (["/one"], ["/two"])
    [(_, stored)] = RawLog(door.redis).after(SITE, START, 10)
    assert stored is not None
    assert (stored.remote, stored.source, stored.at.tzinfo) == ("203.0.113.7", "pixel", UTC)


@pytest.mark.parametrize(("mode", "flag"), [("cookie", b"!1"), ("hash", b"!0"), ("off", b"!0")])
def test_the_script_is_told_whether_it_may_set_a_cookie(
    open_door: Callable[..., Door], mode: str, flag: bytes
) -> None:
    answer = open_door(visitor=mode).ask("/a.js")
    assert answer.status_code == 200
    assert flag in answer.data
    assert b"COOKIE" not in answer.data
    assert answer.data.replace(flag, b'!"COOKIE"') == SCRIPT.read_bytes()
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert len(gzip.compress(answer.data)) < 1000


@pytest.mark.parametrize("path", ["/", "/a.gifx", "/A.gif", "/a.gif/", "/live"])
def test_other_paths_go_to_the_application(open_door: Callable[..., Door], path: str) -> None:
    answer = open_door().ask(path)
    assert (answer.status_code, answer.text) == (418, path)
