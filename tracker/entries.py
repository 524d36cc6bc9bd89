"""Entries of a raw log: their ids, and the hits in them. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from tracker.hit import Hit

START = "0-0"  # the cursor of one that has read nothing
LONGEST = 2**20  # bytes of an entry; a larger one is none of ours, and some hooks would take seconds
MOST_BYTES = 2**53  # as far as Lua adds exactly

Entry = tuple[str, Hit | None]  # stream id, and the hit or None where the entry cannot be read

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Hit).decode


def read_hit(fields: Mapping[bytes, bytes]) -> Hit | None:
    """The hit of an entry; None where it holds none that any clock shows or any counter can add."""
    text = fields.get(b"hit", b"")
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
