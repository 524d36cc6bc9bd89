"""The SQL archive: each hit once, whatever is killed; whole, whatever it holds."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from sqlalchemy import Engine, delete, event, func, select, text

from hitwall.cli import main
from hitwall.redis_server import RedisServer
from tests.archived_hits import FIELDS, archived_hits, as_stored
from tests.hits import PROPERTY, SITE, hit
from tests.service import ROOT
from tests.waiting import until
from tracker import archive as archiving
from tracker import keys, rows
from tracker.archive import Archive
from tracker.database import engine_for, newest, upgrade, version
from tracker.hit import Hit
from tracker.raw import START, RawLog, order
from tracker.schema import cursors, hits
from tracker.settings import NoArchive

ROUNDS = 6  # processes that are killed


def append(redis: Redis, found: list[Hit], source: str = "test") -> None:
    last = RawLog(redis).position(SITE, source)
    RawLog(redis).append(SITE, found, source, int(last or 0) + 1)


def numbered(count: int, start: int = 0) -> list[Hit]:
    return [hit(f"/{start + n}") for n in range(count)]


def ids(engine: Engine, site: str = SITE) -> list[tuple[int, int]]:
    """The archived stream ids, in the archive's own order."""
    query = select(hits.c.ms, hits.c.seq).where(hits.c.site == site).order_by(hits.c.ms, hits.c.seq)
    with engine.connect() as connection:
        return [(row.ms, row.seq) for row in connection.execute(query)]


def logged(redis: Redis, site: str = SITE) -> list[tuple[int, int]]:
    """The stream ids of the raw log."""
    return [order(id) for id, _ in RawLog(redis).after(site, START, 10**6)]


def archived(engine: Engine, site: str = SITE) -> list[Hit]:
    """The hits, made of the columns again."""
    with engine.connect() as connection:
        rows = connection.execute(select(hits).where(hits.c.site == site).order_by(hits.c.ms, hits.c.seq))
        return [Hit(**{name: row[name] for name in FIELDS}) for row in rows.mappings()]


def size(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(hits)) or 0


def reaches(engine: Engine, count: int) -> bool:
    return size(engine) >= count


def copy(archive: Archive, site: str = SITE) -> int:
    return sum(step.hits for step in archive.copy(site))


@contextmanager
def following(address: str, redis_url: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A real `hitwall archive --follow`; killed at the end, should it still run."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HITWALL_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "hitwall", "archive", address, "--follow", *options],
        env={**environ, "REDIS_URL": redis_url},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@PROPERTY
@given(found=st.lists(archived_hits, min_size=1, max_size=5))
def test_every_field_of_every_hit_is_in_the_archive_as_it_is_in_the_raw_log(
    found: list[Hit], redis: Redis, archive_url: str
) -> None:
    redis.flushdb()
    engine = engine_for(archive_url)
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(delete(hits))
        connection.execute(delete(cursors))
    append(redis, found)
    assert copy(Archive(engine, RawLog(redis))) == len(found)
    assert archived(engine) == [as_stored(one) for one in found]
    assert ids(engine) == logged(redis)


def test_order_by_id_is_the_order_of_the_raw_log(redis: Redis, archive_url: str) -> None:
    for id in ("9-9", "9-10", "10-0", "1763706671234-0", "1763706671234-2", "17637066712345-1"):
        redis.xadd(keys.raw(SITE), {"hit": msgspec.json.encode(hit())}, id=id)
    archive = Archive.open(archive_url, RawLog(redis))
    assert copy(archive) == 6
    assert ids(engine_for(archive_url)) == logged(redis)
    assert archive.cursor(SITE) == "17637066712345-1"


def test_a_hit_is_archived_once_however_often_it_is_tried(
    redis: Redis, archive_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "BATCH", 3)
    append(redis, numbered(10))
    assert [step.entries for step in Archive.open(archive_url, RawLog(redis)).copy(SITE)] == [3, 3, 3, 1]
    assert copy(Archive.open(archive_url, RawLog(redis))) == 0
    append(redis, numbered(2, 10))
    assert copy(Archive.open(archive_url, RawLog(redis))) == 2
    assert [one.path for one in archived(engine_for(archive_url))] == [f"/{n}" for n in range(12)]


def test_an_archiver_that_was_overtaken_writes_nothing_and_goes_on_after_the_other(
    redis: Redis, archive_url: str
) -> None:
    append(redis, numbered(5))
    slow, quick = (Archive.open(archive_url, RawLog(redis)) for _ in range(2))
    assert slow.cursor(SITE) == START
    assert copy(quick) == 5
    append(redis, numbered(2, 5))
    assert [step.entries for step in slow.copy(SITE)] == [0, 2]
    assert ids(engine_for(archive_url)) == logged(redis)


def test_several_archivers_at_once_archive_each_hit_once(
    redis: Redis, archive_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "BATCH", 20)
    append(redis, numbered(1000))

    def one(_: int) -> int:
        return copy(Archive.open(archive_url, RawLog(redis)))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(one, range(4))) == 1000
    assert ids(engine_for(archive_url)) == logged(redis)


def test_an_archiver_killed_at_any_point_loses_nothing_and_doubles_nothing(
    redis: Redis, redis_url: str, archive_url: str
) -> None:
    chance = random.Random(3)
    engine = engine_for(archive_url)
    upgrade(engine)
    for n in range(ROUNDS):
        append(redis, numbered(4000, n * 4000))
        wanted = size(engine) + chance.randrange(1, 4000)
        with following(archive_url, redis_url) as process:
            until(partial(reaches, engine, wanted))
            process.send_signal(signal.SIGKILL)
            assert process.wait(10) == -signal.SIGKILL
    copy(Archive.open(archive_url, RawLog(redis)))
    assert ids(engine) == logged(redis)
    assert [one.path for one in archived(engine)] == [f"/{n}" for n in range(ROUNDS * 4000)]


def made(engine: Engine) -> bool:
    with engine.connect() as connection:
        return version(connection) == newest()


def test_following_archives_what_comes_of_every_site_and_says_so_at_its_end(
    redis: Redis, redis_url: str, archive_url: str
) -> None:
    engine = engine_for(archive_url)
    with following(archive_url, redis_url) as process:
        append(redis, numbered(3))
        until(lambda: made(engine) and len(ids(engine)) == 3)
        RawLog(redis).append("b.example", [hit("/b", site="b.example")], "test", 1)
        until(lambda: len(ids(engine, "b.example")) == 1)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert said.splitlines() == ["b.example: 1 hit archived", "example.com: 3 hits archived"]


def test_following_one_site_leaves_the_others(redis: Redis, archive_url: str) -> None:
    append(redis, numbered(3))
    RawLog(redis).append("b.example", [hit("/b", site="b.example")], "test", 1)
    archive = Archive.open(archive_url, RawLog(redis))
    stop = Event()
    for step in archiving.follow(archive, "b.example", stop):
        assert step.site == "b.example"
        stop.set()
    assert ids(engine_for(archive_url)) == []


def test_following_outlives_a_redis_that_goes_away(tmp_path: Path, archive_url: str, free_port: int) -> None:
    engine = engine_for(archive_url)
    upgrade(engine)
    with RedisServer(tmp_path / "data", free_port) as server, Redis.from_url(server.url) as redis:
        append(redis, numbered(2))
        with following(archive_url, server.url) as process:
            until(lambda: len(ids(engine)) == 2)
            server.stop()
            assert process.stdout is not None
            assert "waits for Redis" in process.stdout.readline()
            server.start()
            append(redis, numbered(2, 2))
            until(lambda: len(ids(engine)) == 4)
            assert "goes on" in process.stdout.readline()


def test_what_cannot_be_read_is_counted_and_left_out(redis: Redis, archive_url: str) -> None:
    append(redis, numbered(1))
    redis.xadd(keys.raw(SITE), {"hit": b"{"})
    redis.xadd(keys.raw(SITE), {"else": b"1"})
    append(redis, numbered(1, 1))
    steps = list(Archive.open(archive_url, RawLog(redis)).copy(SITE))
    assert [(step.entries, step.left_out, step.hits) for step in steps] == [(4, 2, 2)]
    assert [one.path for one in archived(engine_for(archive_url))] == ["/0", "/1"]


def test_hits_that_the_database_refuses_do_not_hold_up_the_others(
    redis: Redis, archive_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    append(redis, [*numbered(13), hit("/5"), *numbered(7, 13), hit("/6")])
    archive = Archive.open(archive_url, RawLog(redis))
    with engine_for(archive_url).begin() as connection:
        connection.execute(text("CREATE UNIQUE INDEX once ON hits (path)"))  # an operator's own rule
    (step,) = archive.copy(SITE)
    assert (step.hits, step.left_out) == (20, 2)
    assert [one.path for one in archived(engine_for(archive_url))] == [f"/{n}" for n in range(20)]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"{SITE}: hit ")
    assert caplog.messages[0].endswith("(and 1 more hits)")


def test_numbers_beyond_a_column_are_the_largest_that_fit(redis: Redis, archive_url: str) -> None:
    append(redis, [hit(width=2**64 - 1, status=-(2**64) + 1, track_var={"n": 2**70})])
    assert copy(Archive.open(archive_url, RawLog(redis))) == 1
    (one,) = archived(engine_for(archive_url))
    assert (one.width, one.status) == (2**63 - 1, -(2**63) + 1)


def test_what_is_nested_too_deep_is_cut_there(redis: Redis, archive_url: str) -> None:
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"in": deep}
    append(redis, [hit(track_var=deep), hit("/next")])
    assert copy(Archive.open(archive_url, RawLog(redis))) == 2
    (one, _) = archived(engine_for(archive_url))
    assert json.dumps(one.track_var).count("in") == rows.DEEPEST
    assert "(too deep)" in json.dumps(one.track_var)


def test_an_archive_that_lost_its_cursor_goes_on_after_its_last_hit(redis: Redis, archive_url: str) -> None:
    append(redis, numbered(3))
    copy(Archive.open(archive_url, RawLog(redis)))
    with engine_for(archive_url).begin() as connection:
        connection.execute(delete(cursors))
    append(redis, numbered(2, 3))
    assert copy(Archive.open(archive_url, RawLog(redis))) == 2
    assert ids(engine_for(archive_url)) == logged(redis)


def test_a_hit_that_is_there_already_is_not_archived_again(redis: Redis, archive_url: str) -> None:
    append(redis, numbered(3))
    copy(Archive.open(archive_url, RawLog(redis)))
    with engine_for(archive_url).begin() as connection:
        connection.execute(cursors.update().values(position=START))
    append(redis, numbered(2, 3))
    assert copy(Archive.open(archive_url, RawLog(redis))) == 2
    assert ids(engine_for(archive_url)) == logged(redis)


def test_hits_forgotten_before_they_were_archived_are_told(redis: Redis, archive_url: str) -> None:
    append(redis, numbered(2))
    archive = Archive.open(archive_url, RawLog(redis))
    assert [step.gap for step in archive.copy(SITE)] == [None]
    position = archive.cursor(SITE)
    append(redis, numbered(300, 2))
    last = RawLog(redis).before(SITE, "+", 1)[0][0]
    assert RawLog(redis).trim(SITE, START, 1, last) > 0
    whole = RawLog(redis).whole_since(SITE)
    assert order(whole) > order(position)
    assert [step.gap for step in archive.copy(SITE)] == [(position, whole)]
    append(redis, numbered(1, 302))
    assert [step.gap for step in archive.copy(SITE)] == [None]


def test_nothing_is_missing_where_all_that_was_forgotten_had_been_archived(
    redis: Redis, archive_url: str
) -> None:
    append(redis, numbered(300))
    archive = Archive.open(archive_url, RawLog(redis))
    assert [step.gap for step in archive.copy(SITE)] == [None]
    append(redis, numbered(5, 300))
    last = RawLog(redis).before(SITE, "+", 5)[-1][0]
    while RawLog(redis).trim(SITE, last, 0, last):
        pass
    assert RawLog(redis).length(SITE) == 5
    assert [step.gap for step in archive.copy(SITE)] == [None]
    assert len(ids(engine_for(archive_url))) == 305


def test_the_command_says_what_it_archived_and_what_is_missing(
    redis: Redis, redis_url: str, archive_url: str
) -> None:
    def command(*words: str) -> tuple[int, list[str]]:
        done = CliRunner().invoke(main, ["archive", *words], env={"REDIS_URL": redis_url})
        return done.exit_code, done.output.splitlines()

    assert command(archive_url) == (0, ["Nothing to archive: there is no hit yet."])
    assert command() == (1, ["Error: No archive: set HITWALL_ARCHIVE, or name it, as in sqlite:///hits.db"])
    append(redis, numbered(300))
    RawLog(redis).trim(SITE, START, 20, RawLog(redis).before(SITE, "+", 1)[0][0])
    left = RawLog(redis).length(SITE)
    first = order(RawLog(redis).whole_since(SITE))[0] / 1000
    since = f"{datetime.fromtimestamp(first, UTC):%Y-%m-%d %H:%M:%S} UTC"
    status, said = command(archive_url)
    assert (status, len(said)) == (0, 2)
    assert f"{SITE}: the raw log has forgotten hits up to {since}; those are missing." in said
    assert f"{SITE}: {left} hits archived" in said
    assert command(archive_url, "--site", "b.example") == (
        1,
        ["Error: There is no hit of b.example. Sites: example.com"],
    )


def test_a_full_disk_is_told_in_a_sentence_and_loses_nothing(redis: Redis, tmp_path: Path) -> None:
    engine = engine_for(f"sqlite:///{tmp_path / 'hits.db'}")
    upgrade(engine)
    append(redis, numbered(500))
    archive = Archive(engine, RawLog(redis))

    def limit(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    event.listen(engine, "connect", limit)
    with pytest.raises(NoArchive, match="full"):
        copy(archive)
    event.remove(engine, "connect", limit)
    assert archive.cursor(SITE) == START
    assert copy(archive) == 500
