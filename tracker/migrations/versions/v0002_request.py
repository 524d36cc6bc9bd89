"""What a Flask application knows of a request: its origin, its credentials, its place."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = (
    sa.Text()
    .with_variant(postgresql.TEXT(collation="C"), "postgresql")
    .with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql")
    .with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_nopad_bin"), "mariadb")
)
DICT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
# What older hits have there. It stays the column's default: a former program that still runs goes on storing.
EMPTY = "''"
COLUMNS: dict[str, tuple[sa.types.TypeEngine[Any], str]] = {
    "origin": (TEXT, EMPTY),
    "protocol": (TEXT, EMPTY),
    "app": (TEXT, EMPTY),
    "authorization": (sa.Boolean(), "FALSE"),
    "ip_info": (DICT, "'{}'"),
}


def upgrade() -> None:
    """A server without transactions for this may have been cut off half-way: what is there stays."""
    there = _present()
    for name, (kind, empty) in COLUMNS.items():
        if name not in there:
            op.add_column("hits", sa.Column(name, kind, nullable=False, server_default=_default(empty)))


def downgrade() -> None:
    there = _present()
    for name in COLUMNS:
        if name in there:
            op.drop_column("hits", name)


def _present() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("hits")}


def _default(empty: str) -> sa.TextClause:
    """MySQL takes one for a text or JSON only as an expression, in brackets, from 8.0.13 on; SQLite takes
    no brackets here. Source: https://dev.mysql.com/doc/refman/8.4/en/data-type-defaults.html
    """
    return sa.text(f"({empty})" if op.get_bind().dialect.name in ("mysql", "mariadb") else empty)
