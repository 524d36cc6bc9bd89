"""The SQL archive: a copy of the raw log that may be older than the raw log reaches."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from threading import Event

from redis import RedisError
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from tracker.database import engine_for, shown, telling, upgrade
from tracker.raw import START, RawLog, order
from tracker.rows import Refused, Row, insert_rows, row_of
from tracker.schema import DIRECT, cursors, hits
from tracker.settings import NoArchive

log = logging.getLogger(__name__)

BATCH = 1000  # hits of one transaction
IDLE = 0.5  # seconds to wait for a hit before looking for new sites
PACE = 0.5  # seconds between two looks: what comes meanwhile is one transaction


@dataclass(frozen=True)
class Copied:
    """What one batch did: entries it passed, of which `left_out` could not be read or stored."""

    site: str
    entries: int = 0
    left_out: int = 0
    gap: tuple[str, str] | None = None  # stream ids: from the cursor to the last hit forgotten

    @property
    def hits(self) -> int:
        return self.entries - self.left_out


class Archive:
    """Copies raw logs into one database, each hit once, whoever else copies at the same time."""

    def __init__(self, engine: Engine, raw: RawLog) -> None:
        self.raw = raw
        self._engine = engine
        self._cursors: dict[str, str] = {}  # bounded like the sites

    @classmethod
    def open(cls, address: str, raw: RawLog) -> "Archive":
        """The archive at an address, made or upgraded where needed. Raises NoArchive."""
        engine = engine_for(address)
        upgrade(engine)
        return cls(engine, raw)

    def cursor(self, site: str) -> str:
        """The stream id up to which the site is archived. Raises NoArchive where an application stores it."""
        if site not in self._cursors:
            with telling(self._engine):
                found = self._stored(site) or self._begin(site)
            if found == DIRECT:
                raise NoArchive(_twice(site, self._engine))
            self._cursors[site] = found
        return self._cursors[site]

    def copy(self, site: str) -> Iterator[Copied]:
        """Archive what the site's log holds by now, a batch at a time. Raises NoArchive."""
        newest = self.raw.before(site, "+", 1)
        while newest and (copied := self.step(site, newest[0][0])):
            yield copied

    def step(self, site: str, upto: str = "+") -> Copied | None:
        """Archive one batch, nothing beyond the id `upto`; None where nothing is left to archive.

        A batch of no entries: another archiver was first, and its cursor is read next time.
        """
        start = self.cursor(site)
        entries, whole = self.raw.after_and_since(site, start, BATCH, upto)
        if not entries:
            return None
        rows = [row_of((site, *order(id)), hit) for id, hit in entries if hit]
        with telling(self._engine):
            refused = self._commit(site, (start, entries[-1][0]), rows)
        if refused is None:
            del self._cursors[site]
            return Copied(site)
        self._cursors[site] = entries[-1][0]
        left_out = len(entries) - len(rows) + refused
        return Copied(site, len(entries), left_out, (start, whole) if order(whole) > order(start) else None)

    def _commit(self, site: str, step: tuple[str, str], rows: list[Row]) -> int | None:
        """Cursor and hits together; how many the database refuses. None, and nothing done, where the cursor
        is not where we left it.
        """
        start, end = step
        ours = (cursors.c.site == site) & (cursors.c.position == start)
        with self._engine.begin() as connection:
            if not connection.execute(update(cursors).where(ours).values(position=end)).rowcount:
                return None
            refused = insert_rows(connection, insert(hits), rows)
        _tell_refused(refused)
        return len(refused)

    def _stored(self, site: str) -> str | None:
        with self._engine.connect() as connection:
            return connection.scalar(select(cursors.c.position).where(cursors.c.site == site))

    def _begin(self, site: str) -> str:
        """A cursor for a site that has none: after its last hit, should somebody have lost the cursor."""
        last = (
            select(hits.c.ms, hits.c.seq)
            .where(hits.c.site == site)
            .order_by(hits.c.ms.desc(), hits.c.seq.desc())
        )
        with suppress(IntegrityError), self._engine.begin() as connection:  # another one has begun it
            found = connection.execute(last.limit(1)).first()
            position = f"{found.ms}-{found.seq}" if found else START
            connection.execute(insert(cursors).values(site=site, position=position))
        return self._stored(site) or START


def _tell_refused(refused: list[Refused]) -> None:
    """One line for all of a batch."""
    if refused:
        row, why = refused[0]
        more = f" (and {len(refused) - 1} more hits)" if len(refused) > 1 else ""
        log.error("%s: hit %s-%s cannot be archived: %s%s", row["site"], row["ms"], row["seq"], why, more)


def _twice(site: str, engine: Engine) -> str:
    """What to say where a site's hits already come into the database directly."""
    return (
        f"An application stores the hits of {site} in {shown(engine.url)} itself, with SQLStorage: copied "
        "from the raw log, too, each would be there twice. "
        "Archive into another database, or other sites with --site."
    )


def follow(archive: Archive, only: str, stop: Event) -> Iterator[Copied]:
    """Archive what comes, of one site or with "" of all, until `stop` is set. Outlives a Redis that is away.

    Raises NoArchive where the database fails.
    """
    away = False
    while not stop.is_set():
        try:
            sites = {only} if only else archive.raw.sites()
            cursors = {site: archive.cursor(site) for site in sites}
            for site in archive.raw.waiting(cursors, IDLE) if sites else ():
                for copied in archive.copy(site):
                    yield copied
                    if stop.is_set():
                        return
            if away:
                log.warning("archiving goes on")
            away = False
        except RedisError as error:
            if not away:
                log.warning("archiving waits for Redis: %s", error)
            away = True
        stop.wait(PACE)
