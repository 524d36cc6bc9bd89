"""The demo: lines of a real log become the pixel requests of their visitors."""

from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis

from hitwall import demo
from tests.hits import NOW
from tracker.access_log import Line, parse_line
from tracker.agents import bot
from tracker.hit import BadHit, Hit
from tracker.pixel import PixelReader
from tracker.settings import Settings
from tracker.visitors import Visitors

LOG = Path(__file__).parent / "data" / "access.log"
START = '203.0.113.7 - - [21/Nov/2026:06:31:11 +0000] "GET /blog?a=1 HTTP/1.1" 200 '
PARSED = {
    "combined": (START + '512 "https://a.example/" "curl/8"', "https://a.example/", "curl/8"),
    "common": (START + "512", "", ""),
    "no size": (START + '- "-" "-"', "", ""),
    "quotes in the agent": (START + r'5 "-" "a \"b\" c"', "", 'a "b" c'),
    "more at the end": (START + '5 "-" "curl/8" "203.0.113.9" 0.002', "", "curl/8"),
    "no protocol": (START.replace(" HTTP/1.1", "") + '5 "-" "curl/8"', "", "curl/8"),
}
ODD = [
    "",
    "hello",
    START,
    START.replace("GET /blog?a=1 HTTP/1.1", "-") + '5 "-" "-"',
    START.replace("GET", r"\x16\x03\x01") + '5 "-" "-"',
    START.replace("200", "OK") + '5 "-" "-"',
]


def read(redis: Redis, line: Line, site: str = demo.SITE) -> Hit:
    """The hit that the door makes of the line's request."""
    target, headers = demo.pixel(line, site)
    parts = urlsplit(target)
    assert parts.path == "/a.gif"
    environ: dict[str, Any] = {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in headers.items()}
    environ |= {"REQUEST_METHOD": "GET", "QUERY_STRING": parts.query, "REMOTE_ADDR": "127.0.0.1"}
    return PixelReader(Settings(trusted_proxies=1), Visitors("cookie", redis)).read(environ, NOW)


@pytest.mark.parametrize(("text", "referrer", "agent"), PARSED.values(), ids=PARSED)
def test_a_line_is_an_address_a_target_a_referrer_and_an_agent(text: str, referrer: str, agent: str) -> None:
    line = parse_line(text)
    assert (line.remote, line.target) == ("203.0.113.7", "/blog?a=1")
    assert (line.referrer, line.agent) == (referrer, agent)


@pytest.mark.parametrize("text", ODD)
def test_an_odd_line_is_refused(text: str) -> None:
    with pytest.raises(BadHit, match=r"bad log line|no request"):
        parse_line(text)


@pytest.mark.parametrize(("log", "people"), [(LOG, 579), (demo.SAMPLE, 306)], ids=["excerpt", "sample"])
def test_every_line_of_a_real_log_is_a_request_of_a_bot_or_comes(log: Path, people: int) -> None:
    every = [parse_line(text) for text in log.read_text().splitlines()]
    assert list(demo.lines([log])) == [line for line in every if not bot(line.agent)]
    assert len(list(demo.lines([log]))) == people < len(every)


def test_odd_lines_of_a_log_are_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "odd.log"
    good = [text.replace("curl/8", "Firefox") for text, _, _ in PARSED.values()]
    log.write_bytes("\n".join([*ODD, *good]).encode() + b"\n\xff\xfe\n")
    assert len(list(demo.lines([log, log]))) == 2 * len(PARSED)
    assert list(demo.lines([])) == []


def test_the_door_makes_of_each_line_the_hit_that_it_tells(redis: Redis) -> None:
    found = list(demo.lines([LOG]))
    hits = [read(redis, line, "www.semicomplete.com") for line in found]
    assert {hit.site for hit in hits} == {"semicomplete.com"}
    for line, hit in zip(found, hits, strict=True):
        path, _, query = line.target.partition("#")[0].partition("?")
        assert (hit.path, hit.query) == (path, query)
        assert (hit.remote, hit.referrer, hit.agent) == (line.remote, line.referrer, line.agent[:512])
        assert hit.language in demo.LANGUAGES
    assert len({hit.visitor for hit in hits}) == len({(line.remote, line.agent) for line in found})


@pytest.mark.parametrize("remote", ["203.0.113.7", "2001:db8::7"])
def test_the_address_of_a_line_is_that_of_its_hit(redis: Redis, remote: str) -> None:
    assert read(redis, Line(remote, "/", "", "")).remote == remote


@pytest.mark.parametrize("remote", ["example.com", "bücher.example", "a,b\r\nX: 1"])
def test_a_line_whose_address_is_none_is_a_hit_all_the_same(redis: Redis, remote: str) -> None:
    target, headers = demo.pixel(Line(remote, "/ü?q=%FC#a", "https://a.example/ü", "agent ü"), demo.SITE)
    assert target.isascii()
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    assert read(redis, Line(remote, "/", "", "")).remote == "127.0.0.1"


def test_the_lines_come_again_and_again(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text('a - - [x] "GET /1 HTTP/1.1" 200 1\nnonsense\nb - - [x] "GET /2 HTTP/1.1" 200 1\n')
    found = list(demo.lines([log]))
    assert [line.target for line in found] == ["/1", "/2"]
    assert list(islice(demo.endlessly([log]), 5)) == [*found, *found, found[0]]
    log.write_text("nonsense\n")
    with pytest.raises(demo.NoLines, match="None of the lines is a request"):
        demo.endlessly([log])


@pytest.mark.parametrize("address", ["http://127.0.0.1:abc", "ftp://127.0.0.1", "http://[::1"])
def test_what_is_no_address_of_a_service_is_one_sentence(address: str) -> None:
    with pytest.raises(demo.NoDoor, match="is no address of a service"):
        demo.connection(address)


def test_an_address_without_a_scheme_keeps_its_port() -> None:
    assert demo.connection("localhost:18100").port == 18100


def test_a_door_that_is_shut_is_one_sentence(free_port: int) -> None:
    with pytest.raises(demo.NoDoor, match=f"No answer from http://127.0.0.1:{free_port} .*hitwall run"):
        list(demo.replay([Line("a", "/", "", "")], f"http://127.0.0.1:{free_port}", 1000.0))
