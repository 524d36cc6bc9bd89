"""The archive's tables. The migrations make them; a test compares the two."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

SITE = 259  # characters of a site's name at most
DIRECT = "direct"  # the cursor of a site whose hits come from an application, not from the raw log
QUARTER = 900  # seconds; every zone's hours begin at a multiple of them since 1972


class Instant(TypeDecorator[datetime]):
    """Aware UTC. Where the database keeps no zone, its text is UTC, too."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(INSTANT)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


INSTANT = (
    DateTime()
    .with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
    .with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
)
# Equal and in order by code points everywhere, as SQLite and Python have it.
TEXT = (
    Text()
    .with_variant(postgresql.TEXT(collation="C"), "postgresql")
    .with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql")
    .with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_nopad_bin"), "mariadb")
)
NAME = (
    String(SITE)
    .with_variant(postgresql.VARCHAR(SITE, collation="C"), "postgresql")
    .with_variant(mysql.VARCHAR(SITE, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
)
DICT = JSON().with_variant(postgresql.JSONB(), "postgresql")

metadata = MetaData()

# A stream id, 1763706671234-0, is two numbers here: so the archive's order is the raw log's.
# `quarter`, `bot`, `tongue` and `domain` are no part of a hit: they are worked out once, when it is stored.
hits = Table(
    "hits",
    metadata,
    Column("site", NAME, primary_key=True),
    Column("ms", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    *(
        Column(name, TEXT, nullable=False)
        for name in ("path", "query", "title", "referrer", "remote", "visitor", "agent", "language", "event")
    ),
    *(Column(name, BigInteger, nullable=False) for name in ("status", "bytes", "width")),
    *(Column(name, DICT, nullable=False) for name in ("headers", "params")),
    *(
        Column(name, TEXT, nullable=False)
        for name in ("source", "method", "endpoint", "blueprint", "username")
    ),
    Column("seconds", Double, nullable=False),
    *(Column(name, DICT, nullable=False) for name in ("view_args", "track_var")),
    Column("quarter", Integer, nullable=False),  # `at` in whole quarters of an hour since 1970
    Column("bot", Boolean, nullable=False),
    Column("tongue", TEXT, nullable=False),  # the language asked for first
    Column("domain", TEXT, nullable=False),  # of the referrer; empty for the site's own pages
    *(Column(name, TEXT, nullable=False) for name in ("origin", "protocol", "app")),
    Column("authorization", Boolean, nullable=False),
    Column("ip_info", DICT, nullable=False),
    Index("hits_by_time", "site", "at"),
)

cursors = Table(
    "archive_cursors",
    metadata,
    Column("site", NAME, primary_key=True),
    Column("position", String(64), nullable=False),  # the stream id up to which hits are archived; or DIRECT
)
