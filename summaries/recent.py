"""The last hits as a wall shows them."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from summaries import hooks
from tracker.hit import Hit, cut
from tracker.raw import Entry, order

SHOWN = 10
LATE = timedelta(minutes=5)  # after its own time, a hit is no news any more
LAST = 2.0**37  # seconds since 1970 that a datetime can hold; an id can be any number
LONGEST = 200  # bytes of a path or title on the wall


def news(entries: Sequence[Entry], apart: Callable[[Hit], bool], newest: str) -> list[tuple[str, Hit]]:
    """What a wall shows as it comes: of people, and of the time of the id `newest`; no imported log is."""
    oldest = since(newest)
    return [(name, hit) for name, hit in entries if hit and hit.at > oldest and not apart(hit)]


def since(newest: str) -> datetime:
    """After which time a hit is news at the time of the id `newest`."""
    return datetime.fromtimestamp(min(order(newest)[0] / 1000, LAST), UTC) - LATE


def recent(hits: Iterable[Hit]) -> str:
    """JSON of these hits, newest first, for hits in the order in which they came."""
    return json.dumps([_row(hit) for hit in list(hits)[: -SHOWN - 1 : -1]])


def _row(hit: Hit) -> dict[str, Any]:
    row = {
        "at": hit.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "path": cut(hit.path, LONGEST),
        "title": cut(hit.title, LONGEST),
        "event": hit.event,
        "browser": hooks.browser(hit),
        "referrer": hooks.referrer(hit),
    }
    return {name: value for name, value in row.items() if value}
