"""Recount and verify beside whole processes that count, and killed in the midst of it."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from redis import Redis

from tests.faults.ledger import FULL
from tests.hits import FIREFOX
from tests.service import ROOT, Service, counted, total
from tests.waiting import until
from tracker import keys
from tracker.hit import Hit
from tracker.raw import RawLog

SITE = "example.com"
HITS = 20_000 if FULL else 8_000
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
DAY = f"day:{YESTERDAY:%Y-%m-%d}"
BATCH = 500


def made(path: str, at: datetime) -> Hit:
    return Hit(
        at=at, site=SITE, path=path, title=path, source="pixel", bytes=3, agent=FIREFOX, remote="203.0.113.7"
    )


def fill(redis: Redis, hits: int = HITS) -> None:
    """So many hits of yesterday, on a hundred pages."""
    raw = RawLog(redis)
    for n in range(0, hits, BATCH):
        raw.append(SITE, [made(f"/{i % 100}", YESTERDAY) for i in range(n, n + BATCH)], "test", n + 1)


class Traffic:
    """Hits of today, one batch after the other, until it ends."""

    def __init__(self, url: str) -> None:
        self._end = threading.Event()
        self._url = url
        self.sent = 0
        self._thread = threading.Thread(target=self._send)

    def _send(self) -> None:
        with Redis.from_url(self._url) as redis:
            raw, n = RawLog(redis), 0
            while not self._end.wait(0.01):
                n += 1
                raw.append(SITE, [made(f"/now/{i}", datetime.now(UTC)) for i in range(10)], "traffic", n)
                self.sent += 10

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()


class Watcher:
    """Reads one label of a counter as fast as it can; every number that was ever read, in order."""

    def __init__(self, url: str, key: str, label: str) -> None:
        self._end = threading.Event()
        self._place = (url, key, label)
        self.seen: list[int] = []
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        url, key, label = self._place
        with Redis.from_url(url) as redis:
            while not self._end.is_set():
                number = int(redis.hget(key, label) or 0)
                if not self.seen or self.seen[-1] != number:
                    self.seen.append(number)

    def __enter__(self) -> "Watcher":
        self._thread.start()
        until(lambda: self.seen)
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()


@pytest.fixture
def counting(redis: Redis, redis_url: str) -> Iterator[Service]:
    """A counter at work, with everything of yesterday counted."""
    service = Service(redis_url)
    try:
        fill(redis)
        service.start("count")
        until(lambda: total(redis) == HITS, 60)
        yield service
    finally:
        service.stop()


def hitwall(service: Service, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hitwall", *words]
    return subprocess.run(command, env=service.environ, cwd=ROOT, text=True, capture_output=True, timeout=120)


@contextmanager
def begun(service: Service, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "hitwall", *words], env=service.environ, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def spoil(redis: Redis) -> None:
    """Every counter of yesterday's day and hour shows one hit more of each label."""
    for name in list(redis.scan_iter(keys.counter(SITE, "hits", "*", "*"), count=1000)):
        key = keys.parse(name.decode())
        if key and (key.bucket == DAY or key.bucket.startswith(DAY.replace("day", "hour"))):
            labels: Any = redis.hkeys(name)
            for label in labels:
                redis.hincrby(name, label, 1)


def test_law_3_under_traffic_verify_finds_nothing_and_recount_mends_without_a_wrong_number(
    counting: Service, redis: Redis, redis_url: str
) -> None:
    right = keys.counter(SITE, "hits", "server", DAY)
    wrong = keys.counter(SITE, "hits", "url", DAY)
    redis.hincrby(wrong, "/7", 1000)
    with Traffic(redis_url) as traffic:
        found = hitwall(counting, "verify")
        assert (found.returncode, "1 differ" in found.stdout) == (1, True), found.stdout + found.stderr
        with (
            Watcher(redis_url, right, SITE) as unharmed,
            Watcher(redis_url, wrong, "/7") as mended,
            Watcher(redis_url, wrong, "/8") as beside,
        ):
            assert hitwall(counting, "recount").returncode == 0
        for _ in range(2):
            found = hitwall(counting, "verify")
            assert (found.returncode, " 0 differ" in found.stdout) == (0, True), found.stdout + found.stderr
    assert traffic.sent > 0
    assert unharmed.seen == [HITS]
    assert mended.seen == [1000 + HITS // 100, HITS // 100]
    assert beside.seen == [HITS // 100]
    until(lambda: total(redis) == HITS + traffic.sent)


def test_law_3_a_counter_that_hits_come_to_is_mended_and_only_grows_then(
    counting: Service, redis: Redis, redis_url: str
) -> None:
    month = keys.counter(SITE, "hits", "server", f"month:{datetime.now(UTC):%Y-%m}")
    with Traffic(redis_url) as traffic:
        until(lambda: redis.hget(month, SITE))
        redis.hincrby(month, SITE, 10**9)
        with Watcher(redis_url, month, SITE) as watched:
            found = hitwall(counting, "recount")
            assert (found.returncode, "1 mended" in found.stdout) == (0, True), found.stdout + found.stderr
            assert hitwall(counting, "verify").returncode == 0
    wrong = [n for n in watched.seen if n >= 10**9]
    right = watched.seen[len(wrong) :]
    assert (wrong, right) == (sorted(wrong), sorted(right))
    assert max(right) <= HITS + traffic.sent
    until(lambda: total(redis) == HITS + traffic.sent)


def hashes(redis: Redis) -> dict[bytes, Any]:
    """Every counter of hits."""
    found = redis.scan_iter(keys.counter(SITE, "hits", "*", "*"), count=1000)
    return {name: redis.hgetall(name) for name in found}


def kill_a_recount_at_work(counting: Service, redis: Redis) -> None:
    """As soon as it has swapped a counter, unless it has ended before."""
    published = redis.pubsub()  # type: ignore[no-untyped-call]
    published.subscribe(keys.live(SITE))
    with begun(counting, "recount") as process:
        until(lambda: process.poll() is not None or is_news(published.get_message(timeout=0.1)), 60)
    published.close()


def is_news(message: dict[str, Any] | None) -> bool:
    return message is not None and message["type"] == "message"


def test_law_3_recounts_killed_at_any_moment_leave_each_counter_as_it_was_or_right(
    counting: Service, redis: Redis
) -> None:
    before = hashes(redis)
    spoil(redis)
    spoilt = hashes(redis)
    for _ in range(3):
        kill_a_recount_at_work(counting, redis)
        now = hashes(redis)
        assert all(now[name] in (before[name], spoilt[name]) for name in before)
    assert now != spoilt
    assert hitwall(counting, "recount").returncode == 0
    assert hitwall(counting, "verify").returncode == 0
    assert hashes(redis) == before


def test_law_3_two_recounts_at_once_beside_a_counter_leave_what_one_leaves(
    counting: Service, redis: Redis, redis_url: str
) -> None:
    before = counted(redis, "url", kind="day")
    spoil(redis)
    with (
        Traffic(redis_url) as traffic,
        begun(counting, "recount") as first,
        begun(counting, "recount") as second,
    ):
        assert (first.wait(60), second.wait(60)) == (0, 0)
    until(lambda: total(redis) == HITS + traffic.sent)
    assert hitwall(counting, "verify").returncode == 0
    after = counted(redis, "url", kind="day")
    assert {label: hits for label, hits in after.items() if not label.startswith("/now")} == before


def test_an_open_wall_shows_a_mended_number_without_a_hit(counting: Service, redis: Redis) -> None:
    counting.start("serve")
    redis.hset(keys.counter(SITE, "hits", "url", f"month:{datetime.now(UTC):%Y-%m}"), "/wrong", 10**6)

    def top(frame: Any) -> list[str]:
        return [row[0] for row in frame["top"]["url"]]

    with counting.frames(bucket="month") as frames:
        assert top(next(frames))[0] == "/wrong"
        assert hitwall(counting, "recount").returncode == 0
        assert any("/wrong" not in top(frame) for frame in islice(frames, 5))
