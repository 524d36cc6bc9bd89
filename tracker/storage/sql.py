"""SQLStorage: hits go straight into the SQL archive, and its reports answer from them. No Redis needed."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b
from heapq import merge
from typing import Any

from sqlalchemy import URL, Engine, RowMapping, select, tuple_

from tracker.database import engine_for, location, shown, telling, upgrade
from tracker.direct import insert_direct
from tracker.hit import Hit
from tracker.raw import milliseconds
from tracker.rows import hit_of, row_of
from tracker.schema import DIRECT, cursors, hits
from tracker.settings import NoArchive, Settings
from tracker.storage import Away, Batch, Hook, Storage, Unstorable

CHUNK = 500  # rows that a query of hits() reads, shared by the sites: what is in memory has a bound
LEAST = 20  # rows of a site, however many sites there are
MOST_REASONS = 3  # that a message names
ORDER = (hits.c.at, hits.c.ms, hits.c.seq)


class SQLStorage(Storage):
    """Puts hits into the table `hits` of an SQL database, each once. The table is made at the first of them.

    From then on `hitwall archive` copies no hits of these sites into the same database.
    """

    def __init__(
        self,
        engine: Any = None,
        metadata: Any = None,
        table_name: str | None = None,
        db: Any = None,
        *,
        url: str = "",
        hooks: Sequence[Hook] = (),
        settings: Settings | None = None,
        site: str = "",
    ) -> None:
        """The database is at `url`; or where an engine of SQLAlchemy, or the object of Flask-SQLAlchemy, has
        it: of these only the address is used. Else HITWALL_ARCHIVE names it; without settings TrackUsage
        gives those of the application. `site` bounds what get_usage and get_sum tell; empty: all sites
        whose hits come from applications. Raises NoArchive where an address is none.
        """
        super().__init__(hooks)
        self.site = site
        self._given = _given(engine, db, url)
        self._open: tuple[int, Engine, Engine] | None = None  # process, to write, to read
        self._settings = settings
        if self._given or settings:
            self._check()
        _tell_unused(metadata=metadata, table_name=table_name)

    @property
    def name(self) -> str:
        """One for each database; its password may change."""
        url = repr(location(self._address).set(password=None))
        return f"sqlstorage-{blake2b(url.encode(), digest_size=4).hexdigest()}"

    def _renew(self) -> None:
        self._open = None
        self._check()

    def store(self, hits: Batch) -> None:
        """All in one transaction. Raises Away, and Unstorable for hits that the database refuses or that come
        there from the raw log, when all others are stored.
        """
        rows = [row_of(_key(id, hit), hit) for id, hit in zip(hits.ids, hits, strict=True)]
        with self._reached() as (engine, _):
            refused = insert_direct(engine, rows)
        if refused:
            places = {row["seq"]: place for place, row in enumerate(rows)}
            reasons = "; ".join(sorted({why for _, why in refused})[:MOST_REASONS])
            raise Unstorable(
                f"{len(refused)} of {len(hits)} hits cannot go into {shown(engine.url)}: {reasons}",
                frozenset(places[row["seq"]] for row, _ in refused),
            )

    def sites(self) -> list[str]:
        """The sites that get_usage and get_sum tell of. Raises Away."""
        if self.site:
            return [self.site]
        ours = select(cursors.c.site).where(cursors.c.position == DIRECT)
        with self._reached() as (_, reading), reading.connect() as connection:
            return sorted(connection.scalars(ours))

    def hits(self, start: datetime | None, end: datetime | None) -> Iterator[Hit]:
        """The newest first, read as they are asked for."""
        sites = self.sites()
        size = max(LEAST, CHUNK // max(1, len(sites)))
        span = [hits.c.at >= start] if start else []
        span += [hits.c.at <= end] if end else []
        each = (self._rows([hits.c.site == site, *span], size) for site in sites)
        return (hit_of(row) for row in merge(*each, key=_place, reverse=True))

    def _rows(self, wanted: list[Any], size: int) -> Iterator[RowMapping]:
        """Newest first. Each query is a transaction of its own: nobody waits for a slow reader."""
        query = select(hits).order_by(*(column.desc() for column in ORDER)).limit(size)
        older: list[Any] = []
        while True:
            with self._reached() as (_, reading), reading.connect() as connection:
                rows = connection.execute(query.where(*wanted, *older)).mappings().all()
            yield from rows
            if len(rows) < size:
                return
            # The first says nothing new; but with it, the index is used.
            older = [hits.c.at <= rows[-1]["at"], tuple_(*ORDER) < _place(rows[-1])]

    @contextmanager
    def _reached(self) -> Iterator[tuple[Engine, Engine]]:
        """The database, to write and to read. What fails inside is Away."""
        try:
            engines = self._engines()
            with telling(engines[0]):
                yield engines
        except NoArchive as error:
            self._open = None  # somebody may have emptied the database
            raise Away(str(error)) from error

    def _engines(self) -> tuple[Engine, Engine]:
        """Of this process, the schema up to date."""
        found = self._open
        if found is None or found[0] != os.getpid():
            writing = engine_for(self._address)
            upgrade(writing)
            found = self._open = os.getpid(), writing, engine_for(self._address, reading=True)
        return found[1:]

    @property
    def _address(self) -> str | URL:
        return self._given or self.settings.archive

    def _check(self) -> None:
        """Raises NoArchive where no database can have that address. Loads no driver: gevent may yet patch."""
        location(self._address)


def _given(engine: Any, db: Any, url: str) -> str | URL:
    """The address of the one that is given; empty where none is."""
    if len([given for given in (engine, db, url or None) if given is not None]) > 1:
        raise TypeError("SQLStorage takes one database: an engine, or db, or url.")
    if db is not None:
        try:
            engine = db.engine
        except RuntimeError as error:
            raise RuntimeError(
                "SQLStorage(db=db) asks db for its engine, and db needs an application for that: write "
                "`with app.app_context(): ... SQLStorage(db=db)`, or SQLStorage(url=...)."
            ) from error
    address: str | URL = url if engine is None else getattr(engine, "url", engine)
    return address


def _tell_unused(**given: object) -> None:
    for name in [name for name, value in given.items() if value is not None]:
        warnings.warn(
            f"SQLStorage does not use {name}: it keeps hits in a table of its own, `hits`. What an older "
            "table holds stays there.",
            stacklevel=3,
        )


def _key(id: str, hit: Hit) -> tuple[str, int, int]:
    """The same when the hit comes again. Of two hits in one millisecond, one in 2^63 pairs would be one."""
    number = int.from_bytes(blake2b(id.encode(), digest_size=8).digest()) >> 1
    return hit.site, milliseconds(hit.at), number


def _place(row: RowMapping) -> tuple[Any, ...]:
    """Where it stands in ORDER."""
    return row["at"], row["ms"], row["seq"]
