"""Entries of a raw log: their ids, and the hits in them. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from tracker.hit import Hit

START = "0-0"  # the cursor of one that has read nothing
LONGEST = 2**20  # bytes of an entry; a larger one is none of ours, and some hooks would take seconds
MOST_BYTES = 2**53  # as far as Lua adds exactly

Entry = tuple[str, Hit | None]  # stream id, and the hit or None where the entry cannot be read

encode = msgspec.json.Encoder().encode
encode_lines = msgspec.json.Encoder().encode_lines  # JSON holds no end of a line; each has one
decode = msgspec.json.Decoder(Hit).decode


def read_hit(fields: Mapping[bytes, bytes]) -> Hit | None:
    """The hit of an entry; None where it holds none that any clock shows or any counter can add."""
    return read_text(fields.get(b"hit", b""))


def read_entry(entry: Any) -> Entry:
    """Of an entry as Redis sends it: its id, then fields and values in a row."""
    name, fields = entry
    if len(fields) != 2 or fields[0] != b"hit":
        return name.decode(), read_hit(dict(zip(*[iter(fields)] * 2, strict=True)))
    return name.decode(), read_text(fields[1])


def read_text(text: bytes) -> Hit | None:
    """The same of what stands in its one field."""
    try:
        hit = decode(text) if len(text) <= LONGEST else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return hit if hit and 1970 <= hit.at.year < 9000 and 0 <= hit.bytes <= MOST_BYTES else None


def milliseconds(at: datetime) -> int:
    """Since 1970, the first part of a stream id."""
    return int(at.timestamp() * 1000)


def order(cursor: str) -> tuple[int, int]:
    """Stream ids as numbers, to compare them."""
    left, _, right = cursor.partition("-")
    return int(left), int(right or 0)


def oldest(cursors: Iterable[str]) -> str:
    """The smallest of these ids."""
    return min(cursors, key=order)
