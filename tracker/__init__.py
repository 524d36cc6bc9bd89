"""Write side: what came in becomes a Hit and is appended to the raw log. Knows nothing of summaries."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracker.extension import TrackUsage

__all__ = ["TrackUsage"]


def __getattr__(name: str) -> Any:
    """`from tracker import TrackUsage`; who imports only a part of tracker loads no Flask and no Redis."""
    if name == "TrackUsage":
        return import_module("tracker.extension").TrackUsage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
