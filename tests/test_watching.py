"""The wall in a terminal: what it shows fits, is true, and leaves the terminal as it was."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from hitwall.bars import great
from hitwall.redis_server import RedisServer
from hitwall.terminal import TITLES, State, draw
from tests.asking import FOREVER, NOW, arrive, hit, store, told, unseen
from tests.hits import FIREFOX, PROPERTY, SITE
from tests.service import ROOT, Service, total
from tests.terminal import Terminal
from tests.waiting import until
from tracker import keys
from tracker.raw import encode

SCREENS = [(80, 24), (200, 50), (40, 10), (120, 30), (10, 3)]

pytestmark = pytest.mark.usefixtures("shell")


@given(st.text(), st.sampled_from(SCREENS), st.integers(0, 10**13))
@PROPERTY
def test_a_picture_fits_its_screen_whatever_it_shows(text: str, screen: tuple[int, int], number: int) -> None:
    at = NOW.isoformat()
    for bucket, points in (("hour:2025-03-14T06", 60), ("day:2025-03-14", 24), ("month:2025-03", 30)):
        frame = {
            "site": SITE,
            "bucket": bucket,
            "hits": number,
            "visitors": number // 3,
            "active": 7,
            "rate": 0.5,
            "series": [("x", number)] * (points // 2),
            "before": [("x", 1)] * points,
            "top": {name: [(text, number, 0), ("/", 1, 0)] for name in TITLES},
            "recent": [{"at": at, "path": text, "title": text}, {"at": at, "event": text}],
        }
        lines = draw(frame, State(NOW, FOREVER.timezone), screen).split("\n")
        assert len(lines) <= screen[1]
        assert max(line.cell_len for line in lines) <= screen[0]
        assert unseen("\n".join(map(str, lines))) == []


def test_the_wall_is_printed_once(redis: Redis) -> None:
    now = datetime.now(UTC)
    store(
        redis, [hit("/blog", at=now, title="Blog", agent=FIREFOX, visitor=f"visitor-{n}") for n in range(3)]
    )
    lines = told("watch", "--once", "--bucket", "month").splitlines()
    assert lines[0].startswith(f"{SITE}  month 2")
    assert "● live" in lines[0]
    assert lines[2].startswith(great("3")[0])
    rows = [line.split() for line in lines]
    assert ["/blog", "3", "Firefox", "140", "3", "Linux", "3"] in rows
    assert sum("/blog" in line and "Blog" in line for line in lines) == 3
    assert max(map(len, lines)) <= 100


def test_the_wall_is_told_once_as_json(redis: Redis) -> None:
    store(redis, [hit("/blog", at=datetime.now(UTC), agent=FIREFOX) for _ in range(3)])
    frame = json.loads(told("watch", "--once", "--json", "--bucket", "month"))
    assert (frame["site"], frame["hits"], frame["top"]["url"]) == (SITE, 3, [["/blog", 3, 0]])


def test_a_wall_says_that_the_counter_is_behind(redis: Redis) -> None:
    store(redis, [hit()])
    redis.delete(keys.cursor(SITE))
    redis.delete(keys.raw(SITE))
    redis.xadd(keys.raw(SITE), {"hit": encode(hit())}, id="1-1")  # it came in 1970
    assert " d behind" in told("watch", "--once").splitlines()[0]


@pytest.fixture
def counter(redis: Redis, redis_url: str) -> Iterator[Service]:
    """The counting process."""
    service = Service(redis_url)
    try:
        service.start("count")
        yield service
    finally:
        service.stop()


@pytest.mark.usefixtures("counter")
@pytest.mark.parametrize("screen", [(80, 24), (200, 50)])
def test_the_wall_in_a_terminal_shows_a_hit_that_arrives_and_ends_with_q(
    redis: Redis, redis_url: str, screen: tuple[int, int]
) -> None:
    arrive(redis, "/first")
    terminal = Terminal(["watch", "--bucket", "month"], redis_url, screen)
    try:
        terminal.see("/first")
        arrive(redis, "/second")
        terminal.see("/second")
        terminal.press(b"d")
        terminal.see("day ")
        terminal.resize((90, 30))
        terminal.see("/second")
        terminal.press(b"q")
        assert until(lambda: terminal.ended() is not None)
        assert (terminal.ended(), terminal.sane()) == (0, True)
        assert b"Traceback" not in terminal.written
    finally:
        terminal.close()


@pytest.mark.usefixtures("counter")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wall_and_leaves_the_terminal_sane(
    redis: Redis, redis_url: str, how: signal.Signals
) -> None:
    arrive(redis, "/first")
    terminal = Terminal(["watch", "--bucket", "month"], redis_url, (80, 24))
    try:
        terminal.see("/first")
        terminal.process.send_signal(how)
        until(lambda: terminal.ended() is not None)
        assert (terminal.ended(), terminal.sane()) == (0, True)
        assert b"Abort" not in terminal.written
    finally:
        terminal.close()


def test_the_wall_says_that_redis_is_gone_and_goes_on_when_it_is_back(tmp_path: Path, free_port: int) -> None:
    with RedisServer(tmp_path, free_port) as server, Redis.from_url(server.url) as own:
        service = Service(server.url)
        arrive(own, "/first")
        service.start("count")
        terminal = Terminal(["watch", "--bucket", "month"], server.url, (80, 24))
        try:
            terminal.see("/first")
            os.kill(server.pid, signal.SIGKILL)
            terminal.see("Redis is out of reach")
            until(lambda: not server.alive())
            server.start()
            terminal.see("live")
            arrive(own, "/second")
            terminal.see("/second")
        finally:
            terminal.close()
            service.stop()


def test_the_next_site_is_shown_at_a_key(redis: Redis, redis_url: str) -> None:
    store(redis, [hit(), hit(site="other.example")])
    terminal = Terminal(["watch", "--site", SITE], redis_url, (80, 24))
    try:
        for name in (SITE, "other.example", SITE):
            terminal.see(name)
            terminal.press(b"s")
    finally:
        terminal.close()


@pytest.mark.usefixtures("counter")
def test_frames_are_lines_of_json_as_hits_arrive(redis: Redis) -> None:
    arrive(redis, "/first")
    until(lambda: total(redis) == 1)
    command = [sys.executable, "-m", "hitwall", "watch", "--json", "--bucket", "month"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        seen = json.loads(process.stdout.readline())["hits"]
        arrive(redis, "/second")
        assert next(line for line in process.stdout if json.loads(line)["hits"] == 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert seen == 1
