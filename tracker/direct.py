"""Hits that come into the archive's database directly, from an application and not from the raw log."""

from sqlalchemy import Connection, Engine, Insert, Table, select
from sqlalchemy.dialects import mysql, postgresql, sqlite

from tracker.rows import Refused, Row, insert_rows
from tracker.schema import DIRECT, cursors, hits

TWICE = (
    "hitwall archive copies those of {site} there from the raw log, and each would be there twice: "
    "give SQLStorage another database"
)


def insert_direct(engine: Engine, rows: list[Row]) -> list[Refused]:
    """Insert those that are not there yet; the others, each with the reason."""
    with engine.begin() as connection:
        archived = _archived(connection, {row["site"] for row in rows})
        ours = [row for row in rows if row["site"] not in archived]
        refused = insert_rows(connection, _passing_over(hits, engine.dialect.name), ours)
    return refused + [(row, TWICE.format(**row)) for row in rows if row["site"] in archived]


def _archived(connection: Connection, sites: set[str]) -> set[str]:
    """Those of the sites that hitwall archive copies; the others are ours from now on."""
    query = select(cursors.c.site, cursors.c.position).where(cursors.c.site.in_(sites))
    found = dict(connection.execute(query).all())
    if new := sorted(sites - found.keys()):
        begin = _passing_over(cursors, connection.dialect.name)
        connection.execute(begin, [{"site": site, "position": DIRECT} for site in new])
        # A locking read: MySQL's other reads do not see what somebody else has begun meanwhile.
        found = dict(connection.execute(query.with_for_update()).all())
    return {site for site, position in found.items() if position != DIRECT}


def _passing_over(table: Table, dialect: str) -> Insert:
    """An INSERT that passes over rows whose primary key is there already; other errors stay errors.

    MySQL's INSERT IGNORE would cut values to fit, without a word: there the key is set to what it is, also
    where a row breaks a unique index that somebody has added.
    """
    if dialect in ("mysql", "mariadb"):
        key = {column.name: column for column in table.primary_key}
        return mysql.insert(table).on_duplicate_key_update(key)
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return make(table).on_conflict_do_nothing(index_elements=list(table.primary_key))
