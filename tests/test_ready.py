"""/healthz and /readyz: yes or no, and why not."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from hitwall.app import create_app
from hitwall.health import add_health
from summaries import health
from summaries.health import Checks, Health
from summaries.lease import Lease
from tests.hits import NOW, hit
from tracker import canary, keys
from tracker.canary import LATE, Canary
from tracker.connection import connect
from tracker.settings import Settings
from tracker.spool import Spool
from tracker.spooled import DOOR, Spooled
from tracker.storage import Batch

FINE = Health(counting=True, lag=0.1)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question is asked anew."""
    monkeypatch.setattr(health, "FRESH", 0.0)


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> Settings:
    return Settings(redis_url=redis_url, data=tmp_path, spool_mb=1)


@pytest.fixture
def at_work(redis: Redis) -> Iterator[Lease]:
    """A counter that is 0.1 s behind."""
    lease = Lease(redis)
    assert lease.hold()
    redis.hset(keys.COUNTING, mapping={"lag": "0.1", "metrics": ""})
    yield lease
    lease.release()


def client(settings: Settings) -> FlaskClient:
    app = Flask("test")
    add_health(app, Checks(settings, connect(settings.redis_url)))
    return app.test_client()


def ready(settings: Settings) -> tuple[int, str]:
    answer = client(settings).get("/readyz")
    return answer.status_code, answer.text


def test_ready_is_ok_where_redis_answers_and_a_counter_is_at_work(settings: Settings, at_work: Lease) -> None:
    assert ready(settings) == (200, "ok\n")


def test_alive_is_ok_whatever_is_broken(free_port: int, tmp_path: Path) -> None:
    nowhere = Settings(redis_url=f"redis://127.0.0.1:{free_port}/0", data=tmp_path / "not there")
    assert create_app(nowhere).test_client().get("/healthz").text == "ok\n"


def test_without_redis_it_is_not_ready_and_says_so_without_a_secret(free_port: int, tmp_path: Path) -> None:
    nowhere = Settings(redis_url=f"redis://me:secret@127.0.0.1:{free_port}/0", data=tmp_path)
    assert ready(nowhere) == (503, "Redis is out of reach: ConnectionError\n")


def test_without_a_counter_it_is_not_ready(settings: Settings, redis: Redis) -> None:
    assert ready(settings) == (503, "No counter is at work: start one with hitwall count\n")


def test_a_counter_that_tells_nothing_is_not_ready(settings: Settings, redis: Redis, at_work: Lease) -> None:
    redis.delete(keys.COUNTING)
    assert ready(settings) == (503, "The counter at work does not tell how far it is: see its log\n")


def test_a_counter_that_is_too_far_behind_is_not_ready(
    settings: Settings, redis: Redis, at_work: Lease
) -> None:
    redis.hset(keys.COUNTING, "lag", "61.25")
    assert ready(settings) == (503, "The counter is 61.2 s behind, HITWALL_MAX_LAG is 30 s\n")
    assert ready(replace(settings, max_lag=62)) == (200, "ok\n")


def test_hits_on_disk_are_told_and_a_full_disk_is_not_ready(settings: Settings, at_work: Lease) -> None:
    with closing(Spool(settings.spool, DOOR)) as spool:
        assert spool.append(Batch([hit("/" + "x" * 190_000)], "web-1", 1))
        assert ready(settings) == (200, "ok\n190.1 kB of hits wait on disk\n")
        assert spool.append(Batch([hit("/" + "x" * 900_000)], "web-1", 2))
        status, text = ready(settings)
    assert (status, text) == (503, "The spool is full: 1.1 MB of hits wait on disk, HITWALL_SPOOL_MB is 1\n")


def test_each_reason_has_a_line(free_port: int, tmp_path: Path) -> None:
    settings = Settings(redis_url=f"redis://127.0.0.1:{free_port}/0", data=tmp_path, spool_mb=1)
    with closing(Spool(tmp_path / "spool", DOOR)) as spool:
        assert spool.append(Batch([hit("/" + "x" * 1_030_000)], "web-1", 1))
        status, text = ready(settings)
    assert (status, [line.split(":")[0] for line in text.splitlines()]) == (
        503,
        ["Redis is out of reach", "The spool is full"],
    )


def test_however_often_it_is_asked_redis_is_asked_once_a_second(
    settings: Settings, redis: Redis, at_work: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FRESH", 3600.0)
    asked = client(settings)
    assert asked.get("/readyz").status_code == 200
    redis.flushdb()
    assert {asked.get("/readyz").status_code for _ in range(20)} == {200}


def test_a_wall_is_told_of_hits_on_disk_and_of_a_canary_that_does_not_come(settings: Settings) -> None:
    with connect(settings.redis_url) as redis:
        checks = Checks(settings, redis)
    assert checks.notes(FINE, NOW) == []
    assert checks.notes(replace(FINE, spool=Spooled(1, 345_678, NOW)), NOW) == [
        {"what": "spool", "bytes": 345_678, "since": "2126-11-21T06:31:11+00:00"}
    ]
    most = settings.spool_mb * 2**20
    full = checks.notes(replace(FINE, spool=Spooled(1, most, NOW)), NOW)
    assert full == [{"what": "full", "bytes": most}]
    periods = timedelta(seconds=LATE * settings.canary)
    for old in (Canary(0.1, NOW), Canary(failing=NOW)):
        found = replace(FINE, canary=old)
        assert checks.notes(found, NOW + periods) == []
        assert checks.notes(found, NOW + periods + timedelta(seconds=1)) == [
            {"what": "canary", "since": "2126-11-21T06:31:11+00:00"}
        ]


def test_a_wall_is_told_how_long_the_last_canary_took_while_it_is_news(
    settings: Settings, redis: Redis
) -> None:
    checks = Checks(settings, redis)
    assert checks.to_screen(checks.now(), NOW) is None
    canary.failed(redis, settings.canary, NOW)
    assert checks.to_screen(checks.now(), NOW) is None
    canary.came(redis, 0.1184, settings.canary, NOW)
    told = {"seconds": 0.118, "at": "2126-11-21T06:31:11+00:00"}
    assert checks.to_screen(checks.now(), NOW + timedelta(minutes=3)) == told
    assert checks.to_screen(checks.now(), NOW + timedelta(minutes=4)) is None
