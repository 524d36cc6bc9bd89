"""Importing and following logs while processes are killed, answers are lost and others do the same."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from hitwall.redis_server import RedisServer
from tests.faults.ledger import FULL, Table, each_once
from tests.faults.proxy import Proxy
from tests.hits import SITE
from tests.logs import FOR_EVER, LOG, count_all, counters, line, lines, paths, read_alike, recount, stored
from tests.service import ROOT, TIMEOUT, Service, total
from tests.waiting import until
from tracker import keys

KILLED = "`hitwall import` or `follow` is killed"
KILLS = 20 if FULL else 6
COPIES = 100 if FULL else 60  # of the excerpt in the long log


HITWALL = ("-m", "hitwall")
IMPATIENT = ("-c", "from tracker import log_import as i; i.PATIENCE = 1; import hitwall.cli as c; c.main()")


def run(
    url: str, *arguments: str, program: Sequence[str] = HITWALL, **settings: str
) -> subprocess.Popen[bytes]:
    """A `hitwall` command in a process of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HITWALL_")}
    environ |= {"REDIS_URL": url, "HITWALL_KEEP_HOUR": "0", "HITWALL_KEEP_DAY": "0", **settings}
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        env=environ,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[bytes]) -> str:
    """What it printed; AssertionError where it failed."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    return out.decode()


def import_log(url: str, *files: Path) -> str:
    return finish(run(url, "import", *map(str, files), "--site", SITE))


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """The excerpt again and again, no two lines alike: long enough to be killed in."""
    path = tmp_path / "access.log"
    found = LOG.read_text().splitlines()
    with path.open("w") as file:
        for n in range(COPIES):
            file.writelines(
                f"{text}\n".replace(" HTTP/1", f"?n={n}-{m} HTTP/1") for m, text in enumerate(found)
            )
    return path


@pytest.mark.fault(KILLED)
def test_an_import_killed_again_and_again_and_resumed_counts_every_line_once(
    redis: Redis, redis_url: str, big: Path, table: Table
) -> None:
    chance = random.Random(20261121)
    texts = big.read_text().splitlines()
    kills = 0
    for _ in range(KILLS):
        before = redis.xlen(keys.raw(SITE))
        process = run(redis_url, "import", str(big), "--site", SITE)
        goal = before + chance.randrange(1, max(2, (len(texts) - before) // 20))
        until(lambda: redis.xlen(keys.raw(SITE)) >= goal or process.poll() is not None)  # noqa: B023
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills == KILLS
    assert redis.xlen(keys.raw(SITE)) < len(texts)
    import_log(redis_url, big)
    assert redis.xlen(keys.raw(SITE)) == len(texts)
    hits = [hit for hit in map(read_alike, texts) if hit]
    counting = count_all(redis)
    assert counters(redis) == recount(hits, counting)
    assert f"{len(texts):,} lines known from before" in import_log(redis_url, big)
    assert redis.xlen(keys.raw(SITE)) == len(texts)
    table.add(each_once(KILLED, KILLS, len(texts)))


def test_lost_answers_double_nothing(redis: Redis, redis_url: str, big: Path) -> None:
    with Proxy(int(redis_url.rsplit(":", 1)[1].split("/")[0])) as proxy:
        proxy.drop_answer_of(b"EVALSHA", every=3)
        import_log(proxy.url, big)
        assert proxy.dropped > 5
    assert redis.xlen(keys.raw(SITE)) == len(set(redis_texts(redis))) == COPIES * 760


def redis_texts(redis: Redis) -> list[bytes]:
    entries: Any = redis.xrange(keys.raw(SITE))
    return [fields[b"hit"] for _, fields in entries]


def test_two_imports_of_one_log_at_once_store_each_line_once(redis: Redis, redis_url: str, big: Path) -> None:
    both = [run(redis_url, "import", str(big), "--site", SITE) for _ in range(2)]
    for process in both:
        finish(process)
    assert len(set(redis_texts(redis))) == redis.xlen(keys.raw(SITE)) == COPIES * 760


def test_an_import_shows_what_is_counted_when_it_ends(redis: Redis, redis_url: str) -> None:
    service = Service(redis_url, keep_hour="0", keep_day="0")
    try:
        service.start("count")
        until(lambda: redis.exists(keys.LEASE))
        assert "All of them are counted." in import_log(redis_url, LOG)
    finally:
        service.stop()
    counting = count_all(redis, FOR_EVER)
    assert counters(redis) == recount(filter(None, map(read_alike, LOG.read_text().splitlines())), counting)
    assert total(redis) <= 760


def test_an_import_without_redis_ends_with_a_sentence(free_port: int, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(line("/"))
    nowhere = f"redis://127.0.0.1:{free_port}/0"
    process = run(nowhere, "import", str(log), "--site", SITE, program=IMPATIENT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in err.decode()
    assert "Redis" in err.decode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.touch()
    return path


def write(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.fixture
def followers(redis_url: str, log: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """`hitwall follow` processes; those left are killed at the end."""
    started = [run(redis_url, "follow", str(log), "--site", SITE)]
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_follow_ends_at_once_when_told_and_has_lost_nothing(
    redis: Redis, log: Path, followers: list[subprocess.Popen[bytes]]
) -> None:
    for n in range(10):
        write(log, line(f"/{n}"))
        until(lambda: len(stored(redis)) == n + 1)  # noqa: B023
    followers[0].send_signal(signal.SIGTERM)
    _, err = followers[0].communicate(timeout=TIMEOUT)
    assert (followers[0].returncode, b"Traceback" in err) == (0, False)
    assert stored(redis) == paths(range(10))


def test_follow_waits_for_a_redis_that_is_not_there_yet(log: Path, free_port: int, tmp_path: Path) -> None:
    write(log, lines([0, 1]))
    process = run(f"redis://127.0.0.1:{free_port}/0", "follow", str(log), "--site", SITE)
    said = process.stderr
    assert said is not None
    until(lambda: b"waits for Redis" in said.readline())
    with RedisServer(tmp_path, free_port) as server, Redis.from_url(server.url) as late:
        until(lambda: stored(late) == paths([0, 1]))
        server.stop()
        write(log, lines([2]))
        until(lambda: b"waits for Redis" in said.readline())
        server.start()
        until(lambda: stored(late) == paths([0, 1, 2]))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0


@pytest.mark.fault(KILLED)
def test_follow_killed_again_and_again_through_rotations_stores_each_line_once(
    redis: Redis, redis_url: str, log: Path, followers: list[subprocess.Popen[bytes]], table: Table
) -> None:
    chance = random.Random(7)
    written = 0
    for n in range(10):
        more = chance.randrange(100, 3000)
        write(log, lines(range(written, written + more)))
        written += more
        goal = redis.xlen(keys.raw(SITE)) + chance.randrange(1, more)
        until(lambda: redis.xlen(keys.raw(SITE)) >= goal)  # noqa: B023
        followers[-1].kill()
        followers.pop().communicate()
        if n % 2:
            old = log.rename(log.with_name(f"access.log-{n}"))
            write(old, lines([written]))
            written += 1
        followers.append(run(redis_url, "follow", str(log), "--site", SITE))
    write(log, lines([written]))
    until(lambda: redis.xlen(keys.raw(SITE)) >= written + 1)
    assert sorted(stored(redis)) == sorted(paths(range(written + 1)))
    count_all(redis)
    table.add(each_once(KILLED, 10, written + 1))
