"""The last hits as a wall shows them."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from summaries import hooks
from tracker.hit import Hit, cut
from tracker.raw import Entry, milliseconds, order

SHOWN = 10
LATE = 300_000  # milliseconds after its own time, a hit that arrives is no news any more
LONGEST = 200  # bytes of a path or title on the wall


def news(entries: Iterable[Entry], apart: Callable[[Hit], bool]) -> list[tuple[str, Hit]]:
    """What a wall shows as it comes: of people, and of now; an imported log is no news."""
    return [
        (name, hit)
        for name, hit in entries
        if hit and order(name)[0] - milliseconds(hit.at) < LATE and not apart(hit)
    ]


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
