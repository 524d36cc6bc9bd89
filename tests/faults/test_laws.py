"""The laws that only whole processes can break: kills, restarts, races, crowds."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from redis import Redis

from tests.faults.world import OwnRedis
from tests.service import Service, counted, running, total
from tests.waiting import until
from tracker import keys
from tracker.hit import Hit
from tracker.raw import RawLog
from tracker.settings import Settings

SITE = "example.com"


@pytest.fixture
def own_service(own_redis: OwnRedis) -> Iterator[Service]:
    with running(own_redis.url) as service:
        yield service


def test_a_hit_is_stored_raw_counted_and_in_a_frame_within_a_second(service: Service, redis: Redis) -> None:
    service.hit()
    with service.frames(bucket="month") as frames:
        next(frame for frame in frames if frame["hits"] == 1)
        sent = time.monotonic()
        service.hit("https://www.example.com/blog/?p=1", t="Blog", ref="https://lobste.rs/", v="visitor-1")
        frame = next(frame for frame in frames if frame["hits"] == 2)
        assert time.monotonic() - sent < 1
    assert [row[0] for row in frame["top"]["url"]] == ["/", "/blog"]
    assert frame["top"]["referrer"] == [["lobste.rs", 1, 0]]
    assert (frame["recent"][0]["path"], frame["recent"][0]["title"]) == ("/blog/", "Blog")
    assert frame["visitors"] == 1
    assert counted(redis, "url") == {"/": 1, "/blog": 1}
    assert redis.xlen(keys.raw(SITE)) == 2


def test_law_3_two_counters_racing_over_5000_hits_count_5000(redis: Redis, redis_url: str) -> None:

    raw, at = RawLog(redis), datetime.now(UTC)
    service = Service(redis_url)
    try:
        service.start("first", "count")
        service.start("second", "count")
        for n in range(100):
            raw.append(
                SITE, [Hit(at=at, site=SITE, path=f"/{n}", source="pixel") for _ in range(50)], "test", n
            )
            if n == 50:
                service.kill("first")
                service.start("first", "count")
        until(lambda: total(redis) >= 5000, 30)
        assert counted(redis, "url") == {f"/{n}": 50 for n in range(100)}
    finally:
        service.stop()


def test_law_5_the_wall_is_right_again_after_the_counter_web_or_redis_was_killed(
    own_service: Service, own_redis: OwnRedis
) -> None:
    own_service.hit()
    assert own_service.frame(1, bucket="month")["top"]["url"] == [["/", 1, 0]]
    with own_service.frames(bucket="month") as frames:
        own_service.kill("count")
        own_service.hit()
        own_service.start("count")
        next(frame for frame in frames if frame["hits"] == 2)
        own_redis.kill()
        own_redis.start()
        until(lambda: own_service.hit().status == 200)
        next(frame for frame in frames if frame["hits"] >= 3)
    own_service.kill("serve")
    own_service.start("serve")
    with Redis.from_url(own_redis.url) as redis:
        stored = redis.xlen(keys.raw(SITE))
    assert own_service.frame(stored, bucket="month")["recent"][0]["path"] == "/"


def test_law_6_a_wall_is_never_more_than_a_second_behind_the_counters(service: Service) -> None:
    service.hit()
    with service.frames(bucket="month") as frames:
        next(frame for frame in frames if frame["hits"] == 1)
        for hits in range(2, 12):
            sent = time.monotonic()
            service.hit()
            next(frame for frame in frames if frame["hits"] >= hits)
            assert time.monotonic() - sent < 1


def test_law_8_hits_are_answered_while_streams_are_full(redis: Redis, redis_url: str) -> None:
    service = Service(redis_url, streams="5")
    try:
        service.start("count")
        service.start("serve")
        service.hit()
        with ExitStack() as walls:
            for _ in range(5):
                next(walls.enter_context(service.frames(bucket="month")))
            turned_away = service.get(f"/live?channel={SITE}&bucket=month")
            assert (turned_away.status, turned_away.headers["Retry-After"]) == (503, "10")
            assert [service.hit().status for _ in range(20)] == [200] * 20
        until(lambda: service.get("/live?channel=unknown.example").status == 404)
        until(lambda: total(redis) == 21)
    finally:
        service.stop()


@pytest.mark.parametrize("command", ["serve", "count"])
def test_law_9_sigterm_ends_a_process_within_5_s_with_open_streams(service: Service, command: str) -> None:
    service.hit()
    with ExitStack() as walls:
        streams = [walls.enter_context(service.frames(bucket="month")) for _ in range(20)]
        for frames in streams:
            next(frames)
        begun = time.monotonic()
        assert service.kill(command, signal.SIGTERM) == 0
        assert time.monotonic() - begun < 5
        if command == "serve":
            assert all(not list(frames) for frames in streams)  # ended, not cut off


def test_law_7_without_redis_a_hit_is_answered_the_wall_says_so_and_shows_it_later(
    own_service: Service, own_redis: OwnRedis
) -> None:
    own_service.hit()
    with own_service.frames(bucket="month") as frames:
        next(frame for frame in frames if frame["hits"] == 1)
        own_redis.stop()
        spooled = own_service.hit()
        assert (spooled.status, len(spooled.body)) == (200, 43)
        frame = next(frame for frame in frames if frame["notes"])
        assert (frame["hits"], frame["notes"][0]["what"]) == (1, "redis")
        assert own_service.get("/readyz").status == 503
        own_redis.start()
        frame = next(frame for frame in frames if not frame["notes"] and frame["hits"] == 2)


def test_an_unknown_site_has_no_stream_until_its_first_hit(service: Service) -> None:
    assert service.get("/live?channel=new.example").status == 404
    assert service.get("/live?channel=sse").status == 404
    assert service.get(f"/live?channel={SITE}&bucket=year").status == 400
    service.hit("https://new.example/")
    assert service.frame(1, "new.example", "month")["site"] == "new.example"


def test_beyond_loopback_only_the_token_opens_wall_stream_and_api(redis: Redis, redis_url: str) -> None:
    service = Service(redis_url, token="let-me-in")
    try:
        service.start("serve")
        assert service.hit().status == 200
        for path in ("/", "/api/sites", f"/live?channel={SITE}"):
            assert service.get(path).status == 401, path
        assert service.get("/api/sites", Authorization="Bearer let-me-in").status == 200
        assert service.get("/?token=let-me-in").status == 302
    finally:
        service.stop()
    assert Settings(host="0.0.0.0").open_to_lookers is False
