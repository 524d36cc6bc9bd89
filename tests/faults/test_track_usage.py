"""TrackUsage under faults: no hit of an answered request is lost or doubled, and the host never notices."""

import os
import resource
import signal
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis

from hitwall.redis_server import RedisServer
from summaries.counting import Counting
from tests.faults.ledger import Row, Table
from tests.hanging import hanging
from tests.host import Host, Visitors, ask, call, holds, see_each_once, spooled, stored
from tests.host_app import SITE, create_app
from tests.service import total
from tests.waiting import until
from tracker import keys, outbox
from tracker.batches import GROUP, MOST
from tracker.settings import Settings

FAILING = "Redis fails under an application with `TrackUsage`"
SOME = 100  # requests; enough for every thread and worker of a host
SMALL = 20_000  # bytes that a file may have where the disk is to be full


@pytest.fixture
def log(own_redis: RedisServer) -> Iterator[Redis]:
    """A client of that Redis."""
    with Redis.from_url(own_redis.url) as client:
        yield client


def statuses(visitors: Visitors) -> set[int]:
    return {answer.status for answer in visitors.answers.values()}


def all_workers(host: Host, number: int) -> list[int]:
    """The workers, as soon as there are so many."""
    until(lambda: len(host.workers()) == number)
    return host.workers()


def end(worker: int, how: signal.Signals, host: Host) -> None:
    os.kill(worker, how)
    until(lambda: worker not in host.workers())


def row(redis: Redis, visitors: Visitors) -> Row:
    """What became of their requests, all of them counted."""
    counting = Counting.of(Settings(), redis)
    while counting.step(SITE).hits:
        pass
    there, answered = stored(redis), visitors.answers.keys()
    lost = len(answered - there.keys())
    sent = len(answered) + len(visitors.broken)
    doubled = there.total() - len(there)
    return Row(FAILING, 1, sent, len(answered), there.total(), total(redis, SITE), lost, doubled)


def go_on(visitors: Visitors, redis: Redis) -> None:
    """Wait for more answers, and more hits."""
    answers, hits = len(visitors.answers) + SOME, redis.xlen(keys.raw(SITE)) + SOME
    until(lambda: len(visitors.answers) > answers and holds(redis, hits))


@pytest.mark.fault(FAILING)
@pytest.mark.parametrize("kind", ["gthread", "gevent", "waitress"])
def test_law_7_while_redis_hangs_all_is_answered_and_then_every_hit_is_there_once(
    kind: str, own_redis: RedisServer, log: Redis, tmp_path: Path, table: Table
) -> None:
    with Host(kind, tmp_path, own_redis.url) as host:
        with Visitors(host) as visitors:
            go_on(visitors, log)
            with hanging(own_redis.pid):
                until(lambda: len(spooled(host)) > SOME)
                later = len(visitors.answers) + SOME
                until(lambda: len(visitors.answers) > later)
            go_on(visitors, log)
        assert (statuses(visitors), visitors.broken) == ({200}, [])
        see_each_once(log, host, visitors)
    table.add(row(log, visitors))


@pytest.mark.fault(FAILING)
@pytest.mark.parametrize(
    ("refuse", "relent"),
    [("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"), ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE")],
    ids=["full", "a replica"],
)
def test_what_redis_refuses_while_it_is_full_or_a_replica_is_there_once_later(
    refuse: str, relent: str, own_redis: RedisServer, log: Redis, tmp_path: Path, table: Table
) -> None:
    with Host("gthread", tmp_path, own_redis.url) as host:
        with Visitors(host) as visitors:
            go_on(visitors, log)
            log.execute_command(*refuse.split())  # type: ignore[no-untyped-call]
            until(lambda: len(spooled(host)) > SOME)
            log.execute_command(*relent.split())  # type: ignore[no-untyped-call]
            go_on(visitors, log)
        assert (statuses(visitors), visitors.broken) == ({200}, [])
        see_each_once(log, host, visitors)
    table.add(row(log, visitors))


@pytest.mark.fault(FAILING)
def test_law_2_redis_killed_and_started_again_has_every_hit_once(
    own_redis: RedisServer, log: Redis, tmp_path: Path, table: Table
) -> None:
    with Host("gthread", tmp_path, own_redis.url) as host:
        with Visitors(host) as visitors:
            go_on(visitors, log)
            os.kill(own_redis.pid, signal.SIGKILL)
            until(lambda: len(spooled(host)) > SOME)
            own_redis.start()
            go_on(visitors, log)
        assert (statuses(visitors), visitors.broken) == ({200}, [])
        see_each_once(log, host, visitors)
    table.add(row(log, visitors))


def test_eight_threads_with_5000_requests_each_are_exactly_40000_hits(
    redis: Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = application(monkeypatch, redis_url, tmp_path)
    with ThreadPoolExecutor(8) as threads:
        shares = [range(first, first + 5000) for first in range(0, 40_000, 5000)]
        asked = [threads.submit(ask_directly, app, share) for share in shares]
    assert [share.result() for share in asked] == [{b"A page."}] * 8
    until(lambda: holds(redis, 40_000), 60)
    assert sorted(stored(redis).items()) == [(number, 1) for number in range(40_000)]


def application(monkeypatch: pytest.MonkeyPatch, redis_url: str, spool: Path) -> Flask:
    """The host application in this process."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("HOST_SPOOL", str(spool))
    return create_app()


def ask_directly(app: Flask, numbers: Iterable[int]) -> set[bytes]:
    """The bodies of all answers."""
    return {call(app, f"/?n={number}") for number in numbers}


def test_law_10_without_redis_and_disk_all_is_answered_and_hits_beyond_the_bound_are_dropped_and_counted(
    own_redis: RedisServer,
    log: Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(outbox, "QUEUE", 1000)
    bound = 1000 + MOST + GROUP * MOST  # queued, being stored, and refused by the disk
    no_directory = tmp_path / "file" / "spool"
    no_directory.parent.touch()
    app = application(monkeypatch, own_redis.url, no_directory)
    (box,) = app.extensions["track_usage"].outboxes
    with hanging(own_redis.pid):
        assert ask_directly(app, range(bound + 1000)) == {b"A page."}
        until(lambda: "hits were dropped" in caplog.text)
        # All are in one of the two, but for the moment in which a batch changes its place in memory.
        until(lambda: box.counts.dropped + box.counts.waiting == bound + 1000)
        waiting = bound + 1000 - box.counts.dropped
    assert waiting <= bound
    until(lambda: holds(log, waiting))
    assert set(stored(log).values()) == {1}
    assert stored(log).total() == waiting == box.counts.stored


@pytest.mark.parametrize("bad", ["raising", "sleeping", "raising-hook", "sleeping-hook"])
def test_law_7_a_storage_or_hook_that_raises_or_sleeps_changes_nothing_for_host_and_other_storages(
    bad: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    with Host("gthread", tmp_path, redis_url, HOST_STORAGES=f"{bad},redis") as host:
        visitors = ask(host, SOME)
        assert (statuses(visitors), visitors.broken) == ({200}, [])
        until(lambda: stored(redis).keys() == visitors.answers.keys())
        host.stop()
        assert stored(redis).total() == SOME


@pytest.mark.parametrize(("kind", "number"), [("sync", 4), ("gevent", 2)])
def test_law_9_workers_ended_one_by_one_under_load_lose_nothing(
    kind: str, number: int, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    with Host(kind, tmp_path, redis_url) as host:
        with Visitors(host) as visitors:
            for worker in all_workers(host, number):
                go_on(visitors, redis)
                end(worker, signal.SIGTERM, host)
            all_workers(host, number)
            go_on(visitors, redis)
        assert statuses(visitors) == {200}
        see_each_once(redis, host, visitors)


def test_law_9_a_server_ended_under_load_has_stored_all_that_it_answered(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    with Host("sync", tmp_path, redis_url) as host, Visitors(host) as visitors:
        until(lambda: holds(redis, SOME))
        host.stop()
    assert not visitors.answers.keys() - stored(redis).keys()
    assert set(stored(redis).values()) == {1}


def test_what_a_server_could_not_store_before_its_end_the_next_one_stores_once(
    own_redis: RedisServer, log: Redis, tmp_path: Path
) -> None:
    with Host("sync", tmp_path, own_redis.url) as host:
        with hanging(own_redis.pid):
            visitors = ask(host, SOME)
            host.stop()
            assert (statuses(visitors), visitors.broken) == ({200}, [])
            assert spooled(host) == visitors.answers.keys()
        host.start()
        see_each_once(log, host, visitors, ask(host, 1))


def test_a_worker_killed_loses_no_more_than_the_end_of_what_it_answered(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    with Host("sync", tmp_path, redis_url) as host:
        with Visitors(host) as visitors:
            killed = all_workers(host, 4)
            for worker in killed:
                go_on(visitors, redis)
                end(worker, signal.SIGKILL, host)
            all_workers(host, 4)
        host.stop()
    there = stored(redis)
    assert set(there.values()) == {1}
    for worker, numbers in answered_by_worker(visitors).items():
        kept = [number in there for number in numbers]
        assert kept == sorted(kept, reverse=True)
        assert all(kept) or worker in killed


def answered_by_worker(visitors: Visitors) -> dict[int, list[int]]:
    """Process -> the numbers that it answered, in its order."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, answer in visitors.answers.items():
        worker, _, place = answer.worker.partition("-")
        found[int(worker)].append((int(place), number))
    return {worker: [number for _, number in sorted(pairs)] for worker, pairs in found.items()}


def test_what_is_in_the_spool_outlives_the_death_of_all_processes_and_is_stored_once(
    own_redis: RedisServer, log: Redis, tmp_path: Path
) -> None:
    with Host("gthread", tmp_path, own_redis.url) as host:
        with hanging(own_redis.pid):
            visitors = ask(host, SOME)
            until(lambda: spooled(host) == visitors.answers.keys())
            host.kill()
        host.start()
        see_each_once(log, host, visitors, ask(host, 1))


def test_with_no_room_for_the_spool_the_host_answers_and_goes_on_storing_later(
    own_redis: RedisServer, log: Redis, tmp_path: Path
) -> None:
    with Host("gthread", tmp_path, own_redis.url) as host:
        with Visitors(host) as visitors:
            go_on(visitors, log)
            with hanging(own_redis.pid):
                for worker in host.workers():
                    resource.prlimit(worker, resource.RLIMIT_FSIZE, (SMALL, resource.RLIM_INFINITY))
                until(lambda: "File too large" in host.said())
                later = len(visitors.answers) + 10 * SOME
                until(lambda: len(visitors.answers) > later)
            go_on(visitors, log)
        assert (statuses(visitors), visitors.broken) == ({200}, [])
        see_each_once(log, host, visitors)
