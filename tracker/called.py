"""Called: the hooks of a storage, each called with what it takes."""

import inspect
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tracker.hit import Hit
from tracker.seldom import Seldom
from tracker.storage import Hook
from tracker.usage import usage_of

log = logging.getLogger(__name__)

KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Called:
    """Hooks, to be called once for each hit. One that raises loses its own call and no more."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self._hooks = [(hook, _takes(hook), _failing(hook)) for hook in hooks]

    def __call__(self, hits: Iterable[Hit]) -> None:
        """Call each with those fields of get_usage, and `hit`, that it takes."""
        if not self._hooks:
            return
        for hit in hits:
            usage: dict[str, Any] = {}
            for hook, takes, failing in self._hooks:
                try:
                    usage = usage or {**usage_of(hit), "hit": hit}
                    hook(**_taken(usage, takes))
                # A hook is foreign code, and may raise anything: SystemExit, or gevent's Timeout.
                except BaseException as error:
                    if ends_thread(error):
                        raise
                    failing.add(1, repr(error))
            time.sleep(0)  # other greenlets' turn

    def tell(self, now: bool = False) -> None:
        """Log what no line has told yet, where its minute is over, or now."""
        for _, _, failing in self._hooks:
            failing.tell(now)


def ends_thread(error: BaseException) -> bool:
    """Whether it means the thread or greenlet itself, not what that has called."""
    return isinstance(error, KeyboardInterrupt) or type(error).__name__ == "GreenletExit"


def _taken(usage: Mapping[str, Any], takes: frozenset[str] | None) -> dict[str, Any]:
    return {name: usage[name] for name in usage if takes is None or name in takes}


def _takes(hook: Hook) -> frozenset[str] | None:
    """The names of its parameters; None for all there are."""
    try:
        parameters = inspect.signature(hook).parameters.values()
    except (TypeError, ValueError):  # some that are written in C have none
        return frozenset()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return frozenset(parameter.name for parameter in parameters if parameter.kind in KINDS)


def _failing(hook: Hook) -> Seldom:
    name = getattr(hook, "__name__", type(hook).__name__).replace("%", "%%")
    return Seldom(log, logging.ERROR, f"hook {name} failed for %d hits: %s")
