"""A hit as a row of the archive, with what the reports ask of it beside its fields."""

import re
from typing import Any

import msgspec

from tracker.hit import Hit
from tracker.raw import order
from tracker.schema import QUARTER

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL takes none of them in a text
DEEPEST = 30  # lists and dicts in one another; MariaDB takes 32
LARGEST = 2**63 - 1  # number in a column


class Labels(msgspec.Struct, frozen=True):
    """What the reports ask of a hit beside its fields."""

    bot: bool = False
    tongue: str = ""  # the language asked for first
    domain: str = ""  # of the referrer, without the site's own


def unlabelled(hit: Hit) -> Labels:
    """Labels nothing."""
    return Labels()


def row_of(site: str, id: str, hit: Hit, labels: Labels) -> dict[str, Any]:
    """Column -> value of the hit with that stream id."""
    ms, seq = order(id)
    fields = {name: _storable(value) for name, value in msgspec.structs.asdict(hit).items()}
    quarter = int(hit.at.timestamp() // QUARTER)
    return {
        **fields,
        **msgspec.structs.asdict(labels),
        "site": site,
        "ms": ms,
        "seq": seq,
        "quarter": quarter,
    }


def _storable(value: Any, depth: int = 0) -> Any:
    """The value as every database takes it: no NUL in a text, no number beyond a column, nothing too deep."""
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, int):
        return max(-LARGEST, min(LARGEST, value))
    if isinstance(value, dict | list) and depth == DEEPEST:
        return "(too deep)"
    if isinstance(value, dict):
        return {_storable(name): _storable(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner, depth + 1) for inner in value]
    return value
