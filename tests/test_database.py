"""The archive's database: its schema made and brought up to date, and what is told where it fails."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Engine, Integer, func, insert, inspect, select, text

from tests.hits import FIREFOX, SITE, hit
from tests.postgres import emptied
from tests.service import ROOT
from tracker import database
from tracker.database import engine_for, upgrade, version, versions
from tracker.hit import Hit
from tracker.raw import START
from tracker.rows import hit_of, row_of
from tracker.schema import cursors, hits, metadata
from tracker.settings import NoArchive

LATER = ("origin", "protocol", "app", "authorization", "ip_info")  # columns that the first schema had not


def test_models_and_migrations_agree(archive_url: str) -> None:
    engine = engine_for(archive_url)
    upgrade(engine)
    assert differences(engine) == []
    with engine.connect() as connection:
        other = metadata.tables["archive_cursors"].to_metadata(type(metadata)())
        other.append_column(Column("more", Integer))
        assert compare_metadata(MigrationContext.configure(connection), other.metadata)  # it can tell


def move(engine: Engine, revision: str) -> None:
    """The schema as a program of another time made it."""
    with engine.begin() as connection:
        config = database._config()
        config.attributes["connection"] = connection
        way = command.downgrade if version(connection) else command.upgrade
        way(config, revision)


def former_row(number: int) -> dict[str, Any]:
    """What a program wrote that knew the first schema."""
    one = hit(f"/{number}", agent=FIREFOX, params={"a": "1"}, bytes=7, source="log")
    return {name: value for name, value in row_of((SITE, number, 0), one).items() if name not in LATER}


def kept(engine: Engine) -> list[Hit]:
    with engine.connect() as connection:
        return [hit_of(row) for row in connection.execute(select(hits).order_by(hits.c.ms)).mappings()]


def differences(engine: Engine) -> list[Any]:
    """Between the schema that is there and the one that the program knows."""
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def test_a_database_of_every_former_schema_is_upgraded_with_what_it_holds(archive_url: str) -> None:
    assert versions() == ("0002", "0001")  # one more: fill this test's database by the rows of each
    engine = engine_for(archive_url)
    move(engine, "0001")
    with engine.begin() as connection:
        connection.execute(insert(hits), [former_row(n) for n in range(3)])
    upgrade(engine)
    assert differences(engine) == []
    wanted = [hit(f"/{n}", agent=FIREFOX, params={"a": "1"}, bytes=7, source="log") for n in range(3)]
    assert kept(engine) == wanted


def test_a_former_program_that_still_runs_goes_on_storing_after_the_upgrade(archive_url: str) -> None:
    engine = engine_for(archive_url)
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(insert(hits), [former_row(n) for n in range(2)])
    assert [(one.origin, one.authorization, one.ip_info) for one in kept(engine)] == [("", False, {})] * 2


@pytest.mark.parametrize("column", LATER)
def test_an_upgrade_that_was_cut_off_half_way_is_finished(archive_url: str, column: str) -> None:
    engine = engine_for(archive_url)
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(insert(hits), [former_row(1)])
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        name = engine.dialect.identifier_preparer.quote(column)
        connection.execute(text(f"ALTER TABLE hits DROP COLUMN {name}"))
    upgrade(engine)
    assert differences(engine) == []
    assert len(kept(engine)) == 1


def test_the_way_back_leaves_the_hits_and_may_be_gone_again(archive_url: str) -> None:
    engine = engine_for(archive_url)
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(insert(hits), [row_of((SITE, 1, 0), hit("/1", app="shop"))])
    move(engine, "0001")
    there = {column["name"] for column in inspect(engine).get_columns("hits")}
    assert there == set(hits.c.keys()) - set(LATER)
    upgrade(engine)
    assert differences(engine) == []
    assert kept(engine) == [hit("/1")]


def test_several_processes_that_make_the_archive_at_once_make_it_once(archive_url: str) -> None:
    code = (
        "import sys; from tracker.database import *; engine = engine_for(sys.argv[1]); "
        "print(flush=True); sys.stdin.readline(); upgrade(engine)"
    )
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                Popen([sys.executable, "-c", code, archive_url], cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True)
            )
            for _ in range(4)
        ]
        for process in processes:
            assert process.stdout
            process.stdout.readline()
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.close()
        assert [process.wait(60) for process in processes] == [0] * 4
    assert differences(engine_for(archive_url)) == []
    with engine_for(archive_url).connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1


def test_several_databases_are_made_at_once_by_the_threads_of_a_process(tmp_path: Path) -> None:
    engines = [engine_for(f"sqlite:///{tmp_path / f'{n}.db'}") for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(upgrade, engines * 2))
    assert [differences(engine) for engine in engines] == [[]] * 6


FORKING = """
import os, signal, sys
from tracker import database
engine = database.engine_for(sys.argv[1])
with database._turn():
    child = os.fork()
    if child:
        sys.exit(os.waitpid(child, 0)[1])
    signal.alarm(20)  # should it wait for a lock that nobody will ever open
    database.upgrade(engine)
"""


def test_a_child_that_was_forked_during_an_upgrade_makes_its_own(archive_url: str) -> None:
    subprocess.run([sys.executable, "-c", FORKING, archive_url], cwd=ROOT, check=True)
    assert differences(engine_for(archive_url)) == []


def test_an_archive_of_a_newer_program_is_left_alone(archive_url: str) -> None:
    engine = engine_for(archive_url)
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NoArchive, match=r"made by a newer Hitwall .*9999"):
        upgrade(engine)


def test_sqlite_writes_ahead_so_that_readers_and_a_writer_do_not_wait_for_each_other(tmp_path: Path) -> None:
    engine = engine_for(f"sqlite:///{tmp_path / 'hits.db'}")
    upgrade(engine)
    reading = engine_for(f"sqlite:///{tmp_path / 'hits.db'}", reading=True)
    with engine.begin() as writer, reading.connect() as reader:
        writer.execute(cursors.insert().values(site=SITE, position=START))
        assert reader.scalar(text("PRAGMA journal_mode")) == "wal"
        assert reader.scalar(text("PRAGMA synchronous")) == 1
        assert reader.scalar(select(func.count()).select_from(cursors)) == 0


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "set HITWALL_ARCHIVE"),
        ("hits.db", "looks like sqlite:///hits.db"),
        ("oracle://u:secret@host/x", "looks like sqlite:///hits.db"),
        ("postgresql://u:secret@127.0.0.1:port/x", "looks like sqlite:///hits.db"),
        ("sqlite://", "in memory would be lost"),
        ("sqlite:////nowhere/hits.db", "unable to open database file"),
        ("postgresql://u:secret@127.0.0.1:{port}/x?password=secret", "[Cc]onnection refused"),
        ("postgres://u:secret@127.0.0.1:{port}/x", "[Cc]onnection refused"),
        ("mysql://u:secret@127.0.0.1:{port}/x", "[Cc]onnection refused"),
        ("mariadb+pymysql://u:secret@127.0.0.1:{port}/x", "[Cc]onnection refused"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(
    address: str, message: str, free_port: int
) -> None:
    with pytest.raises(NoArchive, match=message) as told:
        upgrade(engine_for(address.format(port=free_port)))
    assert "secret" not in str(told.value)
    assert "\n" not in str(told.value)


def test_missing_rights_are_told_in_a_sentence(postgres: str) -> None:
    engine = engine_for(emptied(postgres))
    with engine.begin() as connection:
        connection.execute(text("DROP ROLE IF EXISTS reader"))
        connection.execute(text("CREATE ROLE reader LOGIN"))
        connection.execute(text("GRANT USAGE ON SCHEMA public TO reader"))
    with pytest.raises(NoArchive, match="permission denied"):
        upgrade(engine_for(postgres.replace("hitwall@", "reader@")))
    with engine.begin() as connection:
        connection.execute(text("DROP OWNED BY reader"))
