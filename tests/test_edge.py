"""The same requests to a door behind nginx and to a nginx that answers itself: the same hits and refusals."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from redis import Redis

from hitwall.redis_server import RedisServer
from tests.edge import following, hits, refused
from tests.hits import FIREFOX, NOW
from tests.nginx import Nginx, nginx
from tests.service import ROOT, TIMEOUT, Service
from tests.test_pixel import PAGE, REFUSED, VISITOR
from tests.waiting import until
from tracker import canary
from tracker.hit import CANARY, Hit
from tracker.raw import START, RawLog

FIELDS = {
    "url": "https://www.example.com/größe?q=ü#/r",
    "ref": "https://lobste.rs/",
    "t": " Große\n ü",
    "e": "up",
}
FULL = urlencode(FIELDS | {"b": "40113", "w": "1920", "v": VISITOR})
BROWSER = {"User-Agent": FIREFOX, "Accept-Language": "de-AT,de;q=0.7", "Sec-CH-UA": '"Firefox";v="140"'}
END = "https://end.example/"


@dataclass(frozen=True)
class Request:
    """One request for the pixel, and the status of nginx's own answer; 0: the one that the door gives."""

    query: str = PAGE
    method: str = "GET"
    headers: dict[str, str] | None = None
    body: str | None = None
    status: int = 0

    def text(self) -> bytes:
        sent = {"Host": "localhost", "Connection": "close", **(self.headers or {})}
        if self.body is not None and "Transfer-Encoding" not in sent:
            sent["Content-Length"] = str(len(self.body))
        lines = [f"{self.method} /a.gif?{self.query} HTTP/1.1", *(f"{k}: {v}" for k, v in sent.items())]
        return "\r\n".join([*lines, "", self.body or ""]).encode("latin-1")


def get(query: str = PAGE, status: int = 200, **headers: str) -> Request:
    """One that nginx answers."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Request(query, headers=BROWSER | named, status=status)


TABLE = {
    "all fields": get(FULL),
    "url alone": Request(status=200),
    "a beacon": Request(FULL, "POST", BROWSER, "", 204),
    "a post without a length": Request(FULL, "POST", BROWSER, None, 204),
    "a body": Request("", "POST", BROWSER, FULL),
    "address and body": Request(PAGE, "POST", BROWSER, "t=posted"),
    "a get with a body": Request(PAGE, "GET", BROWSER, "t=posted"),
    "a body in pieces": Request(
        "", "POST", {"Transfer-Encoding": "chunked"}, f"{len(FULL):x}\r\n{FULL}\r\n0\r\n\r\n"
    ),
    "head": Request(method="HEAD"),
    "put": Request(method="PUT", body=""),
    "options": Request(method="OPTIONS", headers={"Origin": "https://example.com"}),
    "do not track": get(FULL, DNT="1", Cookie=f"_hitwall={VISITOR}"),
    "global privacy control": get(FULL, Sec_GPC="1"),
    "an empty wish": get(FULL, DNT="", Sec_GPC="", Sec_CH_UA=""),
    "no wish": get(FULL, DNT="0", Sec_GPC="0"),
    "cookie": get(Cookie=f"a=1; _hitwall={VISITOR}; b=2"),
    "cookie and visitor": get(f"{PAGE}&v=another-one", Cookie=f"_hitwall={VISITOR}"),
    "foreign cookies": get(Cookie=f"not_hitwall={VISITOR}; x_hitwall=1"),
    "cookies without a blank": get(Cookie=f"a=1;_hitwall={VISITOR};b=2"),
    "a cookie within another": get(Cookie=f"a=1 _hitwall={VISITOR}; b=;  _hitwall={VISITOR}"),
    "two cookies of ours": get(Cookie=f"_hitwall={VISITOR}; _hitwall=another-one"),
    "bad cookie": get(Cookie="_hitwall=<script>"),
    "spoofed address": get(X_Forwarded_For="198.51.100.7, 203.0.113.7"),
    "raw UTF-8 in a header": get(User_Agent="Größe".encode().decode("latin-1"), Sec_CH_UA="ü\xff"),
    "quotes and backslashes": get(f'{PAGE}"\\x', User_Agent='"\\"\\u0041'),
    "a tab in a header": get(User_Agent="a\tb"),
    "raw byte": get(f"{PAGE}\xfc"),
    "plus and escapes": get(f"{PAGE}a+b%2Bc%2520&t=a+b"),
    "other site": get(f"{PAGE}&s=www.Other.Example."),
    "bare path": get("url=/blog&s=example.com"),
    "a long header": get(User_Agent="a" * 8193),
    "a long language": get(Accept_Language="a" * 8193),
    "a long cookie": get(Cookie="a=" + "a" * 8193),
    "ours and a long cookie": get(Cookie=f"_hitwall={VISITOR}; a=" + "a" * 8193),
    "a long hint": get(Sec_CH_UA="a" * 8193),
    "not modified": get(If_Modified_Since="Mon, 28 Sep 1970 06:00:00 GMT"),
    "a part": get(Range="bytes=0-1"),
    "the site of canaries": get(f"url=/nothing&s={CANARY}"),
} | {
    f"refused: {name}": Request(query, status=200)
    for name, (query, *_) in REFUSED.items()
    if len(query) < 9000
}


# What the web server of the door refuses without counting it; nginx lets it through, and its log counts.
MALFORMED = {
    "malformed request": [get(User_Agent="a\x01b"), get(Sec_CH_UA="\x1b[31m"), get(Cookie="_hitwall=a\x7f")],
    "url too long": [get(f"{PAGE}&t={'a' * 8200}")],
}


@dataclass(frozen=True)
class Side:
    """A nginx, and the Redis in which its hits arrive."""

    front: Nginx
    redis: Redis
    answers: dict[str, bytes]

    def ask(self, text: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.front.port), 10) as door:
            door.sendall(text)
            return b"".join(iter(lambda: door.recv(65_536), b""))

    def end(self) -> None:
        """When all that was asked before has arrived."""
        self.ask(get(f"url={END}").text())
        until(lambda: RawLog(self.redis).has("end.example"))


@pytest.fixture(scope="module")
def sides(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    """Door and edge, each with a Redis database, which have got the whole table."""
    urls = [redis_server.url, f"{redis_server.url.rpartition('/')[0]}/1"]
    services = [Service(url, trusted_proxies="1", canary="0") for url in urls]
    places = [tmp_path_factory.mktemp(name) for name in ("door", "edge")]
    log = places[1] / "hits.log"
    try:
        with (
            Redis.from_url(urls[0]) as first,
            Redis.from_url(urls[1]) as second,
            following(urls[1], log, trusted_proxies="1"),
        ):
            for redis, service in zip((first, second), services, strict=True):
                redis.flushdb()
                service.start("serve")
            ports = [(service.port, service.port) for service in services]
            with nginx(places[0], ports[0]) as door, nginx(places[1], ports[1], edge=True) as edge:
                both = Side(door, first, {}), Side(edge, second, {})
                for side in both:
                    side.answers.update({name: side.ask(case.text()) for name, case in TABLE.items()})
                    side.end()
                # Each worker of nginx has a buffer: the last line of one may come before those of another.
                until(lambda: len(hits(first)) <= len(hits(second)))
                yield both
    finally:
        for service in services:
            service.stop()


def comparable(side: Side) -> list[Hit]:
    """Its hits without their times, the same order for all."""
    found = [msgspec.structs.replace(hit, at=NOW) for hit in hits(side.redis)]
    return sorted(found, key=repr)


def test_both_store_the_same_hits(sides: tuple[Side, Side]) -> None:
    door, edge = sides
    first, second = comparable(door), comparable(edge)
    assert [hit for hit in first if hit not in second] == [hit for hit in second if hit not in first]
    assert len(first) == len(second) > 20


def test_both_count_the_same_refusals(sides: tuple[Side, Side]) -> None:
    door, edge = sides
    until(lambda: sum(refused(door.redis).values()) == sum(refused(edge.redis).values()))
    assert refused(door.redis) == refused(edge.redis)
    assert len(refused(door.redis)) > 10


@pytest.mark.parametrize("reason", MALFORMED)
def test_what_the_web_server_of_the_door_refuses_is_no_hit_and_counted(
    sides: tuple[Side, Side], reason: str
) -> None:
    door, edge = sides
    before = refused(edge.redis).get(reason, 0)
    for case in MALFORMED[reason]:
        assert _parsed(door.ask(case.text()))[0] in (400, 414)
        edge.ask(case.text())
    until(lambda: refused(edge.redis).get(reason, 0) == before + len(MALFORMED[reason]))
    assert len(comparable(edge)) == len(comparable(door))


def test_answers_are_the_door_s_but_that_nginx_refuses_nothing(sides: tuple[Side, Side]) -> None:
    for name, case in TABLE.items():  # one test, or each process of xdist would start all that is asked
        door, edge = (_parsed(side.answers[name]) for side in sides)
        assert edge[0] == (case.status or door[0]), name
        if door[0] == edge[0]:
            assert edge[1] == door[1], name
            assert edge[2][:6] == door[2][:6], name  # another transparent pixel of the same size


def _parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, the headers that matter, body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return (
        int(first.split()[1]),
        {k: v for k, v in headers.items() if k not in ("Date", "Last-Modified")},
        body,
    )


def test_a_hit_is_stored_half_a_second_after_its_answer_at_most(sides: tuple[Side, Side]) -> None:
    _, edge = sides
    raw = RawLog(edge.redis)
    for n in range(3):
        edge.ask(get(f"url=https://soon-{n}.example/").text())
        until(lambda: raw.has(f"soon-{n}.example"), 5)  # noqa: B023


def test_the_canary_comes_through(sides: tuple[Side, Side]) -> None:
    for side in sides:
        path = f"/{canary.mark(side.redis)}"
        side.ask(get(f"url={path}&s={CANARY}").text())
        [(_, hit)] = until(lambda: RawLog(side.redis).after(CANARY, START, 9))  # noqa: B023
        assert hit is not None
        assert hit == Hit(at=hit.at, site=CANARY, path=path, source=canary.SOURCE)


def test_who_is_not_told_apart_otherwise_gets_a_cookie_where_it_would_be_brought_back(
    sides: tuple[Side, Side],
) -> None:
    _, edge = sides
    near: dict[str, Any] = {"Sec_Fetch_Site": "same-site"}
    first = edge.ask(get("url=https://cookie.example/1", **near).text())
    cookie = _parsed(first)[1]["Set-Cookie"]
    assert "httponly; samesite=lax" in cookie
    edge.ask(get("url=https://cookie.example/2", **near, Cookie=cookie.partition(";")[0]).text())
    others = [
        get(FULL, **near),
        get(**near, DNT="1"),
        get(**near, Sec_GPC="1"),
        get(**near, Cookie=f"_hitwall={VISITOR}"),
        get(Sec_Fetch_Site="cross-site"),
        get(),
    ]
    assert [case for case in others if b"Set-Cookie" in edge.ask(case.text())] == []
    raw = RawLog(edge.redis)
    until(lambda: len(raw.after("cookie.example", START, 9)) == 2)
    visitors = [hit.visitor for _, hit in raw.after("cookie.example", START, 9) if hit]
    assert len(set(visitors)) == 1
    assert all(visitors)


def test_no_cookie_is_set_where_visitors_are_told_apart_otherwise(tmp_path: Path) -> None:
    with nginx(tmp_path, (1, 1), edge=True, visitor="hash") as front:
        answer = Side(front, Redis(), {}).ask(get(Sec_Fetch_Site="same-site").text())
    assert b"Set-Cookie" not in answer


def test_a_limit_as_the_documentation_has_it_holds_for_images_and_beacons(tmp_path: Path) -> None:
    told = (ROOT / "docs" / "edge.md").read_text().partition("\n## Rate\n")[2].partition("\n## ")[0]
    zone, limit, beacon = re.findall(r"```nginx\n(.*?)```", told, re.S)
    with nginx(tmp_path, (1, 1), edge=True) as front:
        front.stop()
        text = front.file.read_text().replace("return 204;", "return 420;")
        text = text.replace(
            "    server {\n", f"{zone}    server {{\n{beacon.replace('${EDGE_LOG}', str(front.hits))}"
        )
        text = re.sub(r"location (= /a\.gif|@named) \{\n", rf"\g<0>{limit}", text)
        front.file.write_text(text.replace("20r/s", "1r/m").replace("burst=40", "burst=1"))
        front.start()
        for method, taken in (("GET", 200), ("POST", 204)):
            side = Side(front, Redis(), {})
            seen = [_parsed(side.ask(Request(method=method).text()))[0] for _ in range(4)]
            assert seen == [taken, taken, 429, 429]
            front.stop()  # a limit begins anew
            front.start()


def test_a_new_log_is_begun_again_and_again_and_old_ones_go(tmp_path: Path) -> None:
    script = tmp_path / "rotate.sh"
    script.write_text((ROOT / "docker" / "rotate.sh").read_text().replace("/tmp/", f"{tmp_path}/"))
    old = tmp_path / "hits.log-1700000000"
    old.write_text("old\n")
    os.utime(old, (1_700_000_000, 1_700_000_000))
    with nginx(tmp_path, (1, 1), edge=True) as front:
        environ = {**os.environ, "EDGE_LOG": str(front.hits), "EDGE_ROTATE": "1.1"}
        process = subprocess.Popen(["sh", str(script)], env=environ, start_new_session=True)
        try:
            Side(front, Redis(), {}).ask(get("url=https://before.example/").text())
            until(lambda: not old.exists() and list(tmp_path.glob("hits.log-*")))
            until(front.hits.exists)
            Side(front, Redis(), {}).ask(get("url=https://behind.example/").text())
            until(lambda: "behind" in "".join(log.read_text() for log in tmp_path.glob("hits.log*")))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert "before" in "".join(log.read_text() for log in tmp_path.glob("hits.log-*"))
    for nowhere in ("", "/dev/null"):
        subprocess.run(["sh", str(script)], env={**environ, "EDGE_LOG": nowhere}, timeout=TIMEOUT, check=True)


def test_the_script_is_there_while_no_web_process_is(sides: tuple[Side, Side]) -> None:
    door, edge = sides
    request = b"GET /a.js HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    whole = edge.ask(request)
    assert whole.startswith(b"HTTP/1.1 200 ")
    assert whole.partition(b"\r\n\r\n")[2] == door.ask(request).partition(b"\r\n\r\n")[2]
    assert b"max-age=3600" in whole
