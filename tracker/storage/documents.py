"""Hits as documents of a database: ids in the order of time, and a document refused costs no other. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tracker.storage import Batch, Unstorable

MOST_REASONS = 3  # that a message names
SHOWN = 200  # characters of each
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


class Document(NamedTuple):
    id: str
    content: Any  # with its id in it, as the database takes it


class Refused(Exception):
    """The database takes none of these documents, for what one of them holds; the message says why."""


Send = Callable[[Sequence[Document]], Mapping[str, str]]  # gives id -> reason of those refused


def ids(batch: Batch) -> list[str]:
    """An id for each hit, the same when the batch comes again: 2026-11-21T06:31:11.234567Z-…"""
    return [f"{stamp(hit.at)}-{id}" for id, hit in zip(batch.ids, batch, strict=True)]


def stamp(at: datetime) -> str:
    """A moment as ids begin with it: as texts they stand in the order of time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def span(start: datetime | None, end: datetime | None) -> tuple[str, str]:
    """Between these two are the ids of all hits from `start` to `end`, both in, and of no other."""
    return stamp(start or EARLIEST), f"{stamp(end or LATEST)}-\ufff0"


def store_apart(send: Send, documents: Sequence[Document]) -> None:
    """Send all. Where they are refused together they are halved, until the one refused is alone.

    Raises Unstorable for those refused, when all others are stored.
    """
    refused: dict[str, str] = {}
    waiting = [documents]
    while waiting:
        part = waiting.pop()
        try:
            refused |= send(part)
        except Refused as error:
            half = len(part) // 2
            if half:
                waiting += [part[half:], part[:half]]
            else:
                refused[part[0].id] = str(error)
    if refused:
        reasons = "; ".join(reason[:SHOWN] for reason in sorted(set(refused.values()))[:MOST_REASONS])
        places = frozenset(place for place, document in enumerate(documents) if document.id in refused)
        raise Unstorable(f"{len(places)} of {len(documents)} hits were refused: {reasons}", places)
