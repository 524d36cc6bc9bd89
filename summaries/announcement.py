"""Announcement: what apply.lua publishes of a counted batch. Pure."""

from dataclasses import dataclass
from typing import Any

import msgpack
import msgspec

from summaries.tally import Row

# What is raised of a message that is not ours.
FOREIGN = (ValueError, TypeError, AttributeError, msgpack.UnpackException, msgspec.MsgspecError)


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
    found = {"summaries": names, "start": start, "end": end, "hits": hits, "recent": recent, "entries": rows}
    return msgspec.convert(found | {"quiet": bool(quiet)}, Announcement)  # each of its type


def _list(packed: Any) -> list[Any]:
    """Lua has one kind of table: an empty list arrives as an empty map."""
    return list(packed) if packed else []
