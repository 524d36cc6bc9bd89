"""Mutated requests at the doors and questions: whatever comes is answered, nothing breaks, nothing grows."""

import random
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from tests.faults.ledger import FULL, Table, each_once
from tests.hits import FIREFOX
from tests.service import Service, at_work, counted, total
from tests.smuggling import REFUSED, statuses
from tests.waiting import until
from tracker.raw import RawLog

FAULT = "100,000 mutated requests"
SEED = 20261121
REQUESTS = 100_000 if FULL else 4_000
QUESTIONS = 10_000 if FULL else 600
SENDERS = 4  # connections at once
GROWTH = 8_000_000  # bytes that a worker may have grown by in the second half; measured: 0.7 MB of 87,000

BROWSER = (
    f"Host: stats.example.com\r\nUser-Agent: {FIREFOX}\r\nAccept: image/avif,*/*\r\n"
    "Accept-Language: de,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: https://example.com/\r\n"
    'X-Forwarded-For: 203.0.113.7\r\nSec-CH-UA: "Chromium";v="142"\r\nSec-CH-UA-Platform: "Linux"\r\n'
    "DNT: 0\r\nCookie: _hitwall=visitor-12345\r\n"
)
FORM = (
    "url=https%3A%2F%2Fexample.com%2Fblog%3Fa%3D1&ref=https%3A%2F%2Flobste.rs%2F&t=A+title"
    "&v=visitor-12345&e=x&b=100&w=1920"
)
JSON = '[{"url": "https://example.com/a?b=1", "at": "2026-11-21T06:31:12Z", "remote": "203.0.113.7"}]'
LINES = '{"site": "example.com", "path": "/a", "headers": {"DNT": "1"}, "track_var": {"x": [1]}}\n' * 3


def request(line: str, headers: str = "", body: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{line} HTTP/1.1\r\n{BROWSER}{headers}{length}\r\n{body}".encode()


CORPUS = [
    request(f"GET /a.gif?{FORM}"),
    request("GET /a.gif?url=https://example.com/%C3%BC?q=a%20b%23#/route"),
    request("GET /a.gif?url=/plain&s=example.com"),
    request("POST /a.gif", "Content-Type: text/plain;charset=UTF-8\r\n", FORM),
    request(f"POST /a.gif?{FORM}", "Content-Type: application/x-www-form-urlencoded\r\n", "b=7"),
    request("OPTIONS /a.gif", "Origin: https://example.com\r\nAccess-Control-Request-Method: POST\r\n"),
    request("GET /a.js"),
    request("POST /api/hits", "Content-Type: application/json\r\nIdempotency-Key: k-1\r\n", JSON),
    request("POST /api/hits", "Content-Type: application/x-ndjson\r\n", LINES),
]
MEAN = [sent for sent, _ in REFUSED.values() if len(sent) < 1000]
DICTIONARY = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\x1b[31m",
        b"\x7f",
        b" ",
        b"\t",
        b":",
        b"%",
        b"%00",
        b"%ff",
        b"%0d%0a",
        b"%u1234",
    ),
    *(
        b"&",
        b"=",
        b"?",
        b"#",
        b"//",
        b"..",
        b"@",
        b"[::1]",
        b"{",
        b"}",
        b'"',
        b"\\",
        b"\\ud800",
        b"\xff\xfe",
        b"\xed\xa0\x80",
    ),
    *(
        b"https://",
        b"HTTP/1.1",
        b"Host: a\r\n",
        b"Content-Length: 9999\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ),
    *(
        b"Connection: keep-alive\r\n",
        b"Expect: 100-continue\r\n",
        b"null",
        b"-1",
        b"1e999",
        b"9" * 30,
        b"[" * 300,
    ),
    *(
        b"(other)",
        b"\xdc\xff\xff",
        b"__proto__",
        b"www.",
        b"s=",
        b"canary.hitwall.invalid",
        b"\xf0\x9f\xa6\x8a",
        "\u202e".encode(),
    ),
]
QUERIES = [
    "/api/sites?format=csv",
    "/api/example.com/summaries?format=ndjson",
    "/api/example.com/summaries/url?bucket=day&at=2026-11-21&limit=10&page=1&order=bytes&search=a",
    "/api/example.com/summaries/url?bucket=hour&from=2026-11-20&to=2026-11-21T06",
    "/api/example.com/series/url//blog?bucket=month",
    "/api/example.com/series/url?label=/blog&at=2026-11",
    "/api/example.com/hits?from=2026-11-21&limit=5&order=oldest&after=1795273464709-4",
    "/api/example.com/reports/pages?limit=3",
    "/api/openapi.json",
    "/live?channel=example.com&bucket=hour",
    "/?site=example.com&bucket=day&kiosk",
    "/ask?site=example.com&summary=url",
    "/static/wall.css",
    "/demo/index.html",
    "/readyz",
    "/metrics",
]


@dataclass
class Mutator:
    """Requests made of real ones by a few changes; the same seed makes the same ones."""

    dice: random.Random

    def pick(self) -> bytes:
        """One to three requests of a connection."""
        kinds = [
            self.dice.choice((CORPUS, CORPUS, CORPUS, MEAN)) for _ in range(self.dice.choice((1, 1, 2, 3)))
        ]
        return b"".join(self.change(self.dice.choice(kind)) for kind in kinds)

    def question(self) -> bytes:
        target = self.change(self.dice.choice(QUERIES).encode()).replace(b"\r\n\r\n", b"")
        return b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    def change(self, text: bytes) -> bytes:
        """A few changes, perhaps none."""
        for _ in range(self.dice.choice((0, 1, 1, 2, 3, 5, 8))):
            at = self.dice.randrange(len(text) + 1)
            end = at + self.dice.choice((0, 1, 2, 5, 20))
            text = text[:at] + self.piece(text, text[at:end]) + text[end:]
        return text

    def piece(self, text: bytes, old: bytes) -> bytes:
        """What stands where `old` stood."""
        way = self.dice.randrange(7)
        if way == 0:
            return self.dice.randbytes(len(old) or 1)
        if way == 1:
            return old * self.dice.choice((2, 3, 200))
        if way == 2:
            begin = self.dice.randrange(len(text) + 1)
            return text[begin : begin + self.dice.randrange(60)]
        if way == 3:
            return b""
        return self.dice.choice(DICTIONARY)


def ask(port: int, sent: bytes, most: int = 1 << 20) -> list[int]:
    """The statuses of what comes back, of streams that of their beginning."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as door, suppress(ConnectionError):
        with suppress(ConnectionError):  # refused before all was sent
            door.sendall(sent)
            door.shutdown(socket.SHUT_WR)
        while len(answer) < most and b"text/event-stream" not in answer and (piece := door.recv(65_536)):
            answer += piece
    return statuses(answer)


def batter(port: int, requests: Iterator[bytes]) -> Counter[int]:
    """Send all of them, SENDERS at once."""
    found: Counter[int] = Counter()
    with ThreadPoolExecutor(SENDERS) as senders:
        for told in senders.map(lambda sent: ask(port, sent), requests):
            found.update(told)
    return found


def memory(service: Service) -> int:
    """Bytes of RAM that they take, without what they share."""
    lines = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in service.workers()]
    return sum(int(text.split("Private_Dirty:")[1].split()[0]) * 1024 for text in lines)


@pytest.fixture
def battered(redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[tuple[Service, Path]]:
    """Web process and counter, and the file of what they log."""
    log = tmp_path / "log"
    with log.open("wb") as file:
        service = Service(redis_url, trusted_proxies="1", max_sites="50", headers="*")
        service.log = file
        with at_work(service):
            yield service, log


@pytest.mark.fault(FAULT)
def test_law_12_mutated_requests_break_nothing_and_nothing_grows(
    battered: tuple[Service, Path], redis: Redis, table: Table
) -> None:
    service, log = battered
    running = service.workers()
    mutator = Mutator(random.Random(SEED))
    pick = (mutator.pick() for _ in range(REQUESTS))
    halves = [[sent for sent, _ in zip(pick, range(REQUESTS // 2), strict=False)] for _ in range(2)]
    found = batter(service.port, iter(halves[0]))
    before = memory(service)
    found += batter(service.port, iter(halves[1]))
    grown = memory(service) - before
    assert {status: n for status, n in found.items() if status >= 500} == {}
    assert found[200] > REQUESTS / 50, "too few got through to prove anything"
    assert found[400] > REQUESTS / 50
    assert service.workers() == running, "a worker ended"
    assert grown < GROWTH
    said = log.read_text(errors="replace")
    assert "Traceback" not in said, said
    assert "\x1b" not in said
    for n in range(20):
        assert service.hit(f"https://example.com/good-{n}").status == 200
    sites = RawLog(redis).sites()
    assert len(sites) <= 50

    def all_counted() -> bool:
        """Every raw hit of every site, and no more."""
        held = {site: RawLog(redis).length(site) for site in sites}
        return held == {
            site: total(redis, site) + sum(counted(redis, "bot", site).values()) for site in sites
        }

    until(all_counted, 60)
    table.add(each_once(FAULT, 1, sum(RawLog(redis).length(site) for site in sites)))


def test_law_12_mutated_questions_are_answered_or_refused(
    battered: tuple[Service, Path], redis: Redis
) -> None:
    service, log = battered
    service.hit("https://example.com/blog")
    until(lambda: total(redis) == 1)
    mutator = Mutator(random.Random(SEED))
    found = batter(service.port, (mutator.question() for _ in range(QUESTIONS)))
    assert {status: n for status, n in found.items() if status >= 500} == {}
    assert found[200] > QUESTIONS / 50
    assert "Traceback" not in log.read_text(errors="replace")
