"""Announcement: what apply.lua publishes of a counted batch. Pure."""

from dataclasses import dataclass
from typing import Any

import msgpack

from summaries.tally import Row

FOREIGN = (ValueError, TypeError, AttributeError, msgpack.UnpackException)  # of a message not of ours


@dataclass(frozen=True)
class Announcement:
    """What a batch has changed, in totals; `quiet` where the numbers have to be read anew."""

    summaries: list[str]
    start: str
    end: str
    hits: int
    recent: str
    entries: list[tuple[str, str, int, bool, list[Row]]]  # summary, bucket, distinct, capped, rows
    quiet: bool


def announcement(packed: bytes) -> Announcement:
    """The message that apply.lua published. Raises one of FOREIGN for another."""
    names, start, end, hits, recent, entries, quiet = msgpack.unpackb(packed, strict_map_key=False)
    rows = [
        (name, bucket, distinct, bool(capped), list(zip(*[iter(told)] * 3, strict=True)))
        for name, bucket, distinct, capped, told in _list(entries)
    ]
    return Announcement(names, start, end, hits, recent, rows, bool(quiet))


def _list(packed: Any) -> list[Any]:
    """Lua has one kind of table: an empty list arrives as an empty map."""
    return list(packed) if packed else []
