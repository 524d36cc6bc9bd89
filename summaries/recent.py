"""The last hits as a wall shows them."""

import json
from collections.abc import Iterable
from typing import Any

from summaries import hooks
from tracker.hit import Hit, cut

SHOWN = 10
LONGEST = 200  # bytes of a path or title on the wall


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
