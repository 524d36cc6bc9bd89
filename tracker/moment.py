"""Moment: hits that are stored together, and who is to be told what becomes of them."""

from collections.abc import Callable
from typing import Any

import gevent

from tracker.hit import Hit

LONGEST = 5.0  # seconds a request waits in all, should the disk hang

Told = Callable[[bool], None]  # called once, with whether the hit is stored; must neither wait nor raise


class Moment:
    """Hits that go together, and who is to be told what becomes of them."""

    def __init__(self) -> None:
        self.hits: dict[str, list[Hit]] = {}
        self.size = 0
        self.lost: set[str] | None = None  # sites whose hits are not kept; None: all
        self._asking: list[tuple[str, Told]] = []
        self._patience: Any = None  # the timer after which nobody waits any more

    def add(self, hit: Hit, told: Told) -> None:
        if not self._asking:
            self._patience = gevent.get_hub().loop.timer(LONGEST)
            self._patience.start(self.tell)
        self.hits.setdefault(hit.site, []).append(hit)
        self.size += 1
        self._asking.append((hit.site, told))

    def tell(self) -> None:
        """Tell all who ask: the hit is stored, or it is not, as far as is known by now."""
        self._patience.stop()
        asking, self._asking = iter(self._asking), []
        try:
            for site, told in asking:
                told(self.lost is not None and site not in self.lost)
        finally:
            if left := list(asking):  # one has raised: an error of ours is none of the others'
                self._asking = left
                gevent.get_hub().loop.run_callback(self.tell)
