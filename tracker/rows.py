"""A hit as a row of the archive, with what the reports ask of it beside its fields, and how rows go in."""

import re
from math import isfinite
from typing import Any

import msgspec
from sqlalchemy import Connection, Insert, RowMapping
from sqlalchemy.exc import DataError, IntegrityError

from tracker import agents, headers
from tracker.database import cause
from tracker.hit import Hit
from tracker.schema import QUARTER

Row = dict[str, Any]  # column -> value
Key = tuple[str, int, int]  # site, ms, seq
Refused = tuple[Row, str]  # and what the database said

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL takes none of them in a text
DEEPEST = 30  # lists and dicts in one another; MariaDB takes 32
LARGEST = 2**63 - 1  # number in a column
FIELDS = [field.name for field in msgspec.structs.fields(Hit)]


def row_of(key: Key, hit: Hit) -> Row:
    """The hit as a row with that primary key."""
    fields = {name: _storable(value) for name, value in msgspec.structs.asdict(hit).items() if name != "at"}
    return {
        **fields,
        "at": hit.at,
        "bot": bool(hit.agent) and agents.bot(hit.agent) is not None,
        "tongue": headers.language(hit.language) or "",
        "domain": headers.referring(hit.referrer, hit.site) or "",
        **dict(zip(("site", "ms", "seq"), key, strict=True)),
        "quarter": int(hit.at.timestamp() // QUARTER),
    }


def hit_of(row: RowMapping) -> Hit:
    """The hit that a row was made of."""
    return Hit(**{name: row[name] for name in FIELDS})


def insert_rows(connection: Connection, statement: Insert, rows: list[Row]) -> list[Refused]:
    """Insert them, within a transaction; those left out that the database refuses, each with its reason.

    Where it refuses one, the rows are halved until it stands alone.
    """
    if not rows:
        return []
    try:
        with connection.begin_nested():
            connection.execute(statement, rows)
    except (DataError, IntegrityError) as error:
        if len(rows) == 1:
            return [(rows[0], cause(error))]
        half = len(rows) // 2
        return [
            *insert_rows(connection, statement, rows[:half]),
            *insert_rows(connection, statement, rows[half:]),
        ]
    return []


def _storable(value: Any, depth: int = 0) -> Any:
    """The value as every database takes it: no NUL in a text, no number beyond a column or beyond JSON,
    nothing too deep, and nothing that is no JSON.
    """
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, int):
        return max(-LARGEST, min(LARGEST, value))
    if isinstance(value, float):
        return value if isfinite(value) else None if depth else 0.0
    if isinstance(value, dict | list | tuple) and depth == DEEPEST:
        return "(too deep)"
    if isinstance(value, dict):
        return {_storable(str(name)): _storable(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(inner, depth + 1) for inner in value]
    return value if value is None else _storable(str(value))
