"""@looks_at: a hook says on what of a hit its answer depends; it is asked once for all that are alike."""

from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from typing import Any, TypeVar

from tracker.hit import Hit

Look = Callable[[Hit], Hashable]
Asked = TypeVar("Asked", bound=Callable[[Hit], Any])

LOOK = "hitwall_look"  # the attribute of a function that says what it looks at


def looks_at(look: Look) -> Callable[[Asked], Asked]:
    """Says that a function's answer depends on what `look` gives and on nothing else of a hit.

    So it is asked once for all hits of a batch that are the same in this: half the time of counting.
    """

    def mark(asked: Asked) -> Asked:
        setattr(asked, LOOK, (asked, look))
        return asked

    return mark


def look_of(asked: Callable[[Hit], Any]) -> Look | None:
    """What the function looks at; None where only it knows.

    What functools.wraps has made of another has its attributes, and may look at more.
    """
    marked, look = getattr(asked, LOOK, (None, None))
    return look if marked is asked else None


def minute_of(hit: Hit) -> datetime:
    """When the minute of the hit began (UTC)."""
    return hit.at.astimezone(UTC).replace(second=0, microsecond=0)
