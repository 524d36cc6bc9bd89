"""SQLStorage: each hit once, whatever happens; given back whole, newest first; reports answer from it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from sqlalchemy import Engine, delete, event, func, select, text

from hitwall.cli import main
from summaries.report_rows import REPORTS, Asked
from summaries.reports import Reports
from tests.archived_hits import archived_hits, as_stored
from tests.hits import CHROME, FIREFOX, NOW, PROPERTY, SITE, hit
from tests.service import ROOT
from tests.waiting import until
from tracker import TrackUsage
from tracker.archive import Archive
from tracker.database import engine_for, upgrade
from tracker.hit import Hit
from tracker.raw import RawLog
from tracker.schema import DIRECT, cursors, hits
from tracker.settings import NoArchive, Settings
from tracker.storage import Batch, Unstorable
from tracker.storage import sql as storing
from tracker.storage.sql import SQLStorage

KILLED = 4  # times
STORING = """
import sys
from tests.test_sql_storage import batch_of
from tracker.storage.sql import SQLStorage
storage = SQLStorage(url=sys.argv[1])
for position in range(100):
    storage.store(batch_of(position))
"""
FORKING = """
import os, sys
from tests.test_sql_storage import batch_of
from tracker.storage.sql import SQLStorage
storage = SQLStorage(url=sys.argv[1])
storage.store(batch_of(1))
children = []
for n in range(3):
    child = os.fork()
    if not child:
        storage.store(batch_of(n, f"child {n}"))
        os._exit(0)
    children.append(child)
storage.store(batch_of(2))
sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
"""
PATCHING = """
import sys
from tracker.storage.sql import SQLStorage
storage = SQLStorage(url=sys.argv[1])  # as gunicorn --preload does it: first the application, then gevent
assert not {"psycopg", "pymysql"} & set(sys.modules)
from gevent import monkey
monkey.patch_all()
import gevent
from tests.test_sql_storage import batch_of
others = [SQLStorage(url=sys.argv[1]) for _ in range(3)]
tasks = [gevent.spawn(one.store, batch_of(n)) for n, one in enumerate([storage, *others] * 5)]
gevent.joinall(tasks, timeout=60, raise_error=True)
assert all(task.successful() for task in tasks)
"""


def batch_of(position: int, source: str = "test", count: int = 10, **fields: Any) -> Batch:
    at = NOW + timedelta(seconds=position)
    return Batch((hit(f"/{position}/{n}", at=at, **fields) for n in range(count)), source, position)


def size(url: str) -> int:
    with engine_for(url).connect() as connection:
        return connection.scalar(select(func.count()).select_from(hits)) or 0


def paths(storage: SQLStorage) -> list[str]:
    return [one.path for one in storage.hits(None, None)]


@contextmanager
def queries() -> Iterator[list[str]]:
    """What is asked of any database inside."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield asked
    event.remove(Engine, "before_cursor_execute", note)


@PROPERTY
@given(found=st.lists(archived_hits, min_size=1, max_size=5, unique_by=lambda one: one.at))
def test_every_field_of_every_hit_comes_back_as_it_was(found: list[Hit], archive_url: str) -> None:
    storage = SQLStorage(url=archive_url)
    storage.store(Batch([], "none", 1))
    with engine_for(archive_url).begin() as connection:
        connection.execute(delete(hits))
    storage.store(Batch(found, "test", 1))
    newest = sorted(found, key=lambda one: one.at, reverse=True)
    assert list(storage.hits(None, None)) == [as_stored(one) for one in newest]


def test_a_batch_that_comes_again_is_stored_once(archive_url: str) -> None:
    for storage in (SQLStorage(url=archive_url), SQLStorage(url=archive_url)):
        for _ in range(3):
            storage.store(batch_of(1))
            storage.store(batch_of(2))
    assert size(archive_url) == 20


def test_equal_hits_of_one_moment_are_as_many_as_they_were(archive_url: str) -> None:
    storage = SQLStorage(url=archive_url)
    for source in ("a", "b"):
        for position in (1, 2):
            storage.store(Batch([hit("/same")] * 50, source, position))
    assert size(archive_url) == 200


def test_threads_that_begin_at_once_store_each_hit_once(archive_url: str) -> None:
    storages = [SQLStorage(url=archive_url) for _ in range(4)]
    work = [(storages[n % 4], batch_of(n // 2)) for n in range(80)]  # each batch by two of them
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda pair: pair[0].store(pair[1]), work))
    assert size(archive_url) == 400


def test_a_process_killed_at_any_point_loses_nothing_and_doubles_nothing(archive_url: str) -> None:
    upgrade(engine_for(archive_url))
    for n in range(KILLED):
        wanted = min(990, size(archive_url) + 10 + 100 * n)
        process = subprocess.Popen([sys.executable, "-c", STORING, archive_url], cwd=ROOT)
        until(lambda wanted=wanted: size(archive_url) >= wanted)  # type: ignore[misc]
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert size(archive_url) % 10 == 0  # a batch is there whole, or not at all
    subprocess.run([sys.executable, "-c", STORING, archive_url], cwd=ROOT, check=True)
    assert size(archive_url) == 1000


def test_forked_children_store_beside_their_parent(archive_url: str) -> None:
    subprocess.run([sys.executable, "-c", FORKING, archive_url], cwd=ROOT, check=True)
    assert size(archive_url) == 50


def test_greenlets_store_at_once_though_gevent_patched_after_the_import(archive_url: str) -> None:
    subprocess.run([sys.executable, "-c", PATCHING, archive_url], cwd=ROOT, check=True)
    assert size(archive_url) == 200


def test_the_newest_come_first_of_all_sites_whatever_their_order_in_the_table(
    archive_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "CHUNK", 10)
    monkeypatch.setattr(storing, "LEAST", 3)
    storage = SQLStorage(url=archive_url)
    found = [
        hit(f"/{n}", at=NOW + timedelta(microseconds=n * 37 % 100 // 5), site=("a.example", SITE)[n % 2])
        for n in range(100)
    ]
    for position in range(10):
        storage.store(Batch(found[position * 10 : position * 10 + 10], "test", position))
    back = list(storage.hits(None, None))
    assert [one.at for one in back] == sorted((one.at for one in found), reverse=True)
    assert sorted(one.path for one in back) == sorted(one.path for one in found)
    start, end = NOW + timedelta(microseconds=3), NOW + timedelta(microseconds=7)
    part = [one for one in back if start <= one.at <= end]
    assert list(storage.hits(start, end)) == part
    assert [use["path"] for use in storage.get_usage(start, end, limit=4, page=2)] == [
        one.path for one in part[4:8]
    ]
    assert list(storage.hits(end, start)) == []
    alone = SQLStorage(url=archive_url, site="a.example").hits(None, None)
    assert list(alone) == [one for one in back if one.site == "a.example"]


def test_hits_that_were_copied_from_a_raw_log_are_none_of_an_application(
    redis: Redis, archive_url: str
) -> None:
    RawLog(redis).append("b.example", [hit(site="b.example")], "test", 1)
    list(Archive.open(archive_url, RawLog(redis)).copy("b.example"))
    storage = SQLStorage(url=archive_url)
    storage.store(batch_of(1, count=3))
    assert storage.sites() == [SITE]
    assert sorted(paths(storage)) == ["/1/0", "/1/1", "/1/2"]


def test_only_what_is_asked_for_is_read(archive_url: str) -> None:
    storage = SQLStorage(url=archive_url)
    storage.store(batch_of(1, count=3 * storing.CHUNK))
    with queries() as asked:
        assert len(list(islice(storage.hits(None, None), 10))) == 10
        assert len([query for query in asked if "FROM hits" in query]) == 1
        assert len(list(storage.hits(None, None))) == 3 * storing.CHUNK
    assert len([query for query in asked if "FROM hits" in query]) == 1 + 4


def test_a_slow_reader_holds_up_no_writer(archive_url: str) -> None:
    storage = SQLStorage(url=archive_url)
    storage.store(batch_of(1, count=storing.CHUNK + 10))
    reading = storage.hits(None, None)
    next(reading)
    storage.store(batch_of(0))
    assert len(list(reading)) == storing.CHUNK + 19  # what came meanwhile and is older is read, too


def test_reports_answer_from_it_as_from_an_archive(redis: Redis, archive_url: str, tmp_path: Path) -> None:
    found = [
        hit(
            f"/{n % 4}",
            at=NOW + timedelta(minutes=n * 61),
            title=("", "Blog")[n % 2],
            agent=(FIREFOX, CHROME, "Googlebot/2.1")[n % 3],
            language=("de", "en-us,en;q=0.5", "")[n % 3],
            referrer=("https://lobste.rs/s/1", "https://www.example.com/a", "")[n % 3],
            remote=f"192.0.2.{n % 5}",
            visitor=f"visitor-{n % 7}",
        )
        for n in range(60)
    ]
    RawLog(redis).append(SITE, found, "test", 1)
    copied = f"sqlite:///{tmp_path / 'copied.db'}"
    list(Archive.open(copied, RawLog(redis)).copy(SITE))
    SQLStorage(url=archive_url).store(Batch(found, "test", 1))
    direct, archived = (Reports.of(Settings(), url) for url in (archive_url, copied))
    assert direct.sites() == archived.sites() == [SITE]
    asked = Asked(site=SITE, start=NOW - timedelta(days=1), end=NOW + timedelta(days=5), limit=100)
    for name in REPORTS:
        assert direct.answer(name, asked) == archived.answer(name, asked)
        assert direct.answer(name, asked)


def test_requests_to_an_application_are_in_the_reports_and_in_get_usage(archive_url: str) -> None:
    app = Flask("shop")
    app.config |= {"HITWALL_ARCHIVE": archive_url, "TRACK_USAGE_SPOOL": False}
    storage = SQLStorage()
    track = TrackUsage(app, storage)
    with app.test_client() as client:
        for path in ("/a", "/a", "/b?c=1"):
            client.get(path, headers={"User-Agent": FIREFOX}, base_url="https://shop.example")
    assert track.flush(app)
    reports = Reports.of(Settings(), archive_url)
    now = datetime.now(UTC)
    asked = Asked(site="shop.example", start=now - timedelta(hours=1), end=now + timedelta(hours=1))
    (views,) = reports.answer("views", asked)
    assert msgspec.structs.asdict(views)["views"] == 3
    first, *_ = storage.get_usage(limit=1)
    assert (first["url"], first["server_name"]) == ("https://shop.example/b?c=1", "shop")


def test_a_site_that_an_application_stores_is_not_copied_from_the_raw_log_as_well(
    redis: Redis, redis_url: str, archive_url: str
) -> None:
    SQLStorage(url=archive_url).store(batch_of(1))
    for site in (SITE, "b.example"):
        RawLog(redis).append(site, [hit(site=site)], "test", 1)
    for options in ([], ["--follow"], ["--site", SITE]):
        done = CliRunner().invoke(main, ["archive", archive_url, *options], env={"REDIS_URL": redis_url})
        assert done.exit_code == 1
        assert "An application stores the hits of example.com" in done.output
        assert "other sites with --site" in done.output
    options = ["--site", "b.example"]
    done = CliRunner().invoke(main, ["archive", archive_url, *options], env={"REDIS_URL": redis_url})
    assert done.exit_code == 0
    assert size(archive_url) == 11


def test_an_archiver_that_runs_already_does_not_begin_with_a_site_that_an_application_has_begun(
    redis: Redis, archive_url: str
) -> None:
    archive = Archive.open(archive_url, RawLog(redis))
    SQLStorage(url=archive_url).store(batch_of(1))
    RawLog(redis).append(SITE, [hit()], "test", 1)
    with pytest.raises(NoArchive, match="SQLStorage"):
        list(archive.copy(SITE))
    assert size(archive_url) == 10


def test_hits_of_a_site_that_is_copied_from_the_raw_log_are_given_up_and_others_are_stored(
    redis: Redis, archive_url: str
) -> None:
    RawLog(redis).append(SITE, [hit()], "test", 1)
    list(Archive.open(archive_url, RawLog(redis)).copy(SITE))
    mixed = Batch([hit("/1"), hit("/2", site="b.example"), hit("/3")], "test", 1)
    for _ in range(2):
        with pytest.raises(Unstorable, match=r"2 of 3 hits .*give SQLStorage another database") as told:
            SQLStorage(url=archive_url).store(mixed)
        assert told.value.places == {0, 2}
    assert size(archive_url) == 2
    with engine_for(archive_url).connect() as connection:
        found = dict(connection.execute(select(cursors.c.site, cursors.c.position)).all())
    assert found["b.example"] == DIRECT != found[SITE]


def test_a_site_changes_its_way_when_its_row_of_archive_cursors_is_deleted(
    redis: Redis, archive_url: str
) -> None:
    def forget() -> None:
        with engine_for(archive_url).begin() as connection:
            connection.execute(delete(cursors))

    storage = SQLStorage(url=archive_url)
    past = datetime.now(UTC) - timedelta(hours=1)
    storage.store(Batch([hit("/1", at=past), hit("/2", at=past)], "test", 1))
    forget()
    RawLog(redis).append(SITE, [hit("/3"), hit("/4")], "test", 1)
    assert sum(step.hits for step in Archive.open(archive_url, RawLog(redis)).copy(SITE)) == 2
    with pytest.raises(Unstorable):
        storage.store(batch_of(2))
    forget()
    storage.store(batch_of(2))
    assert size(archive_url) == 14


def test_hits_that_the_database_refuses_are_named_and_the_others_are_stored(archive_url: str) -> None:
    upgrade(engine_for(archive_url))
    with engine_for(archive_url).begin() as connection:
        connection.execute(text("CREATE UNIQUE INDEX once ON hits (path)"))  # an operator's own rule
    storage = SQLStorage(url=archive_url)
    batch = Batch([hit(f"/{n % 17}") for n in range(20)], "test", 1)
    for _ in range(2):
        with pytest.raises(Unstorable, match="3 of 20 hits cannot go into") as told:
            storage.store(batch)
        assert told.value.places == {17, 18, 19}
    assert size(archive_url) == 17


def test_values_that_no_database_has_a_form_for_are_stored_as_near_as_can_be(archive_url: str) -> None:
    odd: dict[str, Any] = {"n": float("nan"), "i": float("-inf"), "o": Path("/a"), "t": (1, 2)}
    storage = SQLStorage(url=archive_url)
    storage.store(Batch([hit(track_var=odd, seconds=float("inf"))], "test", 1))
    (one,) = storage.hits(None, None)
    assert one.track_var == {"n": None, "i": None, "o": "/a", "t": [1, 2]}
    assert one.seconds == 0.0
