"""The archive's database: how to reach it, what to tell where that fails, and its schema kept up to date."""

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tracker.settings import NoArchive

DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
WAIT = 30  # seconds for another one who writes or upgrades
CONNECT = 10  # seconds for a server to answer
UPGRADE = 4_489_415  # any number of ours: the lock under which one of several upgrades the schema

_turns: dict[int, threading.Lock] = {}  # by process; no more than a process has ancestors

logging.getLogger("alembic").setLevel(logging.WARNING)  # it names its dialect at each start
logging.getLogger("psycopg").setLevel(logging.ERROR)  # what ended a batch is told by us


def engine_for(address: str | URL, reading: bool = False) -> Engine:
    """The database at an address such as sqlite:///hits.db, not yet connected; NoArchive where it is none.

    Any thread may use it: each connection is made anew and belongs to one.
    """
    url = location(address)
    if url.get_backend_name() != "sqlite":
        return create_engine(url, poolclass=NullPool, json_serializer=_json, connect_args=_patience(url))
    if reading and not Path(str(url.database)).is_file():
        raise NoArchive(f"There is no archive {shown(url)} yet: hitwall archive makes one.")
    engine = create_engine(url, poolclass=NullPool, json_serializer=_json, connect_args={"timeout": WAIT})
    _tune_sqlite(engine, "BEGIN" if reading else "BEGIN IMMEDIATE")
    return engine


def location(address: str | URL) -> URL:
    """The address with the driver that we use, which is not loaded yet. Raises NoArchive where it is none."""
    if not address:
        raise NoArchive("No archive: set HITWALL_ARCHIVE, or name it, as in sqlite:///hits.db")
    try:
        url = make_url(address)
        driver = DRIVERS[url.get_backend_name()]
    except (ArgumentError, KeyError, ValueError):
        raise NoArchive(
            "The archive's address is none: it looks like sqlite:///hits.db, "
            "postgresql://user@host/name or mariadb://user@host/name"
        ) from None
    if driver == DRIVERS["sqlite"] and url.database in (None, "", ":memory:"):
        raise NoArchive("An archive in memory would be lost: name a file, as in sqlite:///hits.db")
    return url.set(drivername=driver)


def shown(url: URL) -> str:
    """The address as it may be printed."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


@contextmanager
def telling(engine: Engine) -> Iterator[None]:
    """What the database refuses inside is a NoArchive."""
    try:
        yield
    except SQLAlchemyError as error:
        raise NoArchive(f"The archive {shown(engine.url)} cannot be used: {cause(error)}") from error


def cause(error: SQLAlchemyError) -> str:
    """What the database said, without the values that follow."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]


def upgrade(engine: Engine) -> None:
    """Bring the schema to the version that this program knows; of several who try, one does it."""
    with telling(engine):
        with engine.connect() as connection:
            if version(connection) == newest():
                return
        with _turn(), engine.begin() as connection:
            _lock(connection)  # first of all: what was read before would be read again, in a snapshot
            check_known(connection)
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def check(connection: Connection) -> None:
    """Raises NoArchive where the schema is not the one that this program knows."""
    check_known(connection)
    if version(connection) != newest():
        raise NoArchive(f"The archive {shown(connection.engine.url)} is not up to date: run hitwall archive.")


def check_known(connection: Connection) -> None:
    """Raises NoArchive where a newer program has made the schema."""
    found = version(connection)
    if found and found not in versions():
        raise NoArchive(
            f"The archive {shown(connection.engine.url)} was made by a newer Hitwall "
            f"(its schema is {found}, this program knows {newest()}): update this one."
        )


def version(connection: Connection) -> str | None:
    """The revision of the schema; None where there is no schema yet."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The revision that this program makes."""
    return versions()[0]


@lru_cache(maxsize=1)  # the program's own files
def versions() -> tuple[str, ...]:
    """Every revision that this program knows, the newest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def _patience(url: URL) -> dict[str, Any]:
    return {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT}


def _tune_sqlite(engine: Engine, begin: str) -> None:
    """A writer keeps others out from its start, so that none finds its snapshot outdated half-way."""

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # BEGIN is said by us, also before what changes the schema
        with suppress(sqlite3.OperationalError):  # another one does it just now; it is done once for ever
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _turn() -> threading.Lock:
    """Alembic knows one migration at a time in a process. A child must not wait for its parent's, and
    gevent may have patched before the first, but after this was imported.
    """
    return _turns.setdefault(os.getpid(), threading.Lock())


def _lock(connection: Connection) -> None:
    """SQLite has locked already; the others' locks end with the transaction or the connection."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE})
    elif connection.dialect.name in ("mysql", "mariadb"):
        connection.execute(text("SELECT GET_LOCK(:key, :wait)"), {"key": f"hitwall {UPGRADE}", "wait": WAIT})


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
