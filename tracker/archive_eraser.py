"""ArchiveEraser: finds and removes a person's hits in the SQL archive."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, RowMapping, Select, String, Text, cast, delete, or_, select, tuple_
from sqlalchemy.types import JSON

from tracker.archive import Archive
from tracker.database import check, engine_for, location, telling, version
from tracker.person import Person
from tracker.raw import RawLog, order
from tracker.rows import Key
from tracker.schema import DIRECT, cursors, hits

CHUNK = 500  # rows that a query reads, and that a transaction removes
COLUMNS = [
    column
    for column in hits.columns
    if isinstance(column.type, Text | String | JSON) and column.name != "site"
]


class ArchiveEraser:
    """One archive. Raises NoArchive where the database fails."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def of(cls, address: str) -> "ArchiveEraser | None":
        """The archive at that address; None where there is none yet."""
        url = location(address)
        if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
            return None
        engine = engine_for(address)
        with telling(engine), engine.connect() as connection:
            if version(connection) is None:
                return None
            check(connection)
        return cls(engine)

    def sites(self) -> list[str]:
        """Every site in the archive."""
        with telling(self._engine), self._engine.connect() as connection:
            return sorted(connection.scalars(select(cursors.c.site)))

    def catch_up(self, site: str, end: str, raw: RawLog) -> None:
        """Archive up to that id of the raw log, from which the person's hits are gone: then no archiver is
        at work any more with what it has read before.
        """
        archive = Archive(self._engine, raw)
        with telling(self._engine), self._engine.connect() as connection:
            position = connection.scalar(select(cursors.c.position).where(cursors.c.site == site))
        if position not in (None, DIRECT):
            while order(archive.cursor(site)) < order(end) and archive.step(site, end):
                pass

    def find(self, person: Person, site: str) -> Iterator[Key]:
        """The hits of the site that hold a trace of the person."""
        parts = [
            cast(column, Text).contains(part, autoescape=True) for column in COLUMNS for part in person.parts
        ]
        query = (
            select(hits).where(hits.c.site == site, or_(*parts)).order_by(hits.c.ms, hits.c.seq).limit(CHUNK)
        )
        for row in self._rows(query):
            if person.is_in("\n".join(_text(row[column.name]) for column in COLUMNS)):
                yield row["site"], row["ms"], row["seq"]

    def remove(self, keys: Sequence[Key]) -> int:
        """How many went. SQLite writes zeros over them, in its log, too."""
        gone = 0
        with telling(self._engine):
            for first in range(0, len(keys), CHUNK):
                part = keys[first : first + CHUNK]
                with self._engine.begin() as connection:
                    if connection.dialect.name == "sqlite":
                        connection.exec_driver_sql("PRAGMA secure_delete = ON")
                    place = tuple_(hits.c.site, hits.c.ms, hits.c.seq)
                    gone += connection.execute(delete(hits).where(place.in_(part))).rowcount
            self._checkpoint()
        return gone

    def _rows(self, query: Select[Any]) -> Iterator[RowMapping]:
        """All of them; each query is a transaction of its own, so that no archiver waits."""
        last: list[Any] = []
        while True:
            with telling(self._engine), self._engine.connect() as connection:
                found = connection.execute(query.where(*last)).mappings().all()
            yield from found
            if len(found) < CHUNK:
                return
            last = [tuple_(hits.c.ms, hits.c.seq) > (found[-1]["ms"], found[-1]["seq"])]

    def _checkpoint(self) -> None:
        if self._engine.dialect.name == "sqlite":
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
