"""Hits, and how far each site's are archived."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = (
    sa.DateTime()
    .with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
    .with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
)
TEXT = (
    sa.Text()
    .with_variant(postgresql.TEXT(collation="C"), "postgresql")
    .with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql")
    .with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_nopad_bin"), "mariadb")
)
NAME = (
    sa.String(259)
    .with_variant(postgresql.VARCHAR(259, collation="C"), "postgresql")
    .with_variant(mysql.VARCHAR(259, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
)
DICT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "at": INSTANT,
    **dict.fromkeys(("path", "query", "title", "referrer", "remote", "visitor", "agent", "language"), TEXT),
    "event": TEXT,
    **dict.fromkeys(("status", "bytes", "width"), sa.BigInteger()),
    **dict.fromkeys(("headers", "params"), DICT),
    **dict.fromkeys(("source", "method", "endpoint", "blueprint", "username"), TEXT),
    "seconds": sa.Double(),
    **dict.fromkeys(("view_args", "track_var"), DICT),
    "quarter": sa.Integer(),
    "bot": sa.Boolean(),
    "tongue": TEXT,
    "domain": TEXT,
}


def upgrade() -> None:
    """A server without transactions for this may have been cut off half-way: what is there stays."""
    op.create_table(
        "hits",
        sa.Column("site", NAME, primary_key=True),
        sa.Column("ms", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        *(sa.Column(name, kind, nullable=False) for name, kind in COLUMNS.items()),
        if_not_exists=True,
    )
    if not sa.inspect(op.get_bind()).get_indexes("hits"):
        op.create_index("hits_by_time", "hits", ["site", "at"])
    op.create_table(
        "archive_cursors",
        sa.Column("site", NAME, primary_key=True),
        sa.Column("position", sa.String(64), nullable=False),
        if_not_exists=True,
    )


def downgrade() -> None:
    op.drop_table("archive_cursors")
    op.drop_table("hits")
