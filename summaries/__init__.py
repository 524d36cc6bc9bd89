"""Read side: hooks say what a hit counts as; the fold, the counters and the live frames follow."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from summaries.hooks import summary

if TYPE_CHECKING:
    from summaries.sums import (
        sumGeo,
        sumLanguage,
        sumLanguages,
        sumRemote,
        sumRemotes,
        sumServer,
        sumUrl,
        sumUrls,
        sumUserAgent,
        sumUserAgents,
        sumVisitor,
        sumVisitors,
    )
else:

    def __getattr__(name: str) -> Any:
        """The names of Flask-Track-Usage; what they need is imported when one is asked for."""
        if name in __all__:
            return getattr(import_module("summaries.sums"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "sumGeo",
    "sumLanguage",
    "sumLanguages",
    "sumRemote",
    "sumRemotes",
    "sumServer",
    "sumUrl",
    "sumUrls",
    "sumUserAgent",
    "sumUserAgents",
    "sumVisitor",
    "sumVisitors",
    "summary",
]
