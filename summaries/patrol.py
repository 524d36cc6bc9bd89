"""Patrol: something that is done with every site now and then, with a part of them in each round."""

import time
from collections.abc import Iterable
from math import ceil


class Patrol:
    """Each site once in `period` seconds, by rounds that are `apart` seconds apart.

    With 1,000 sites at once, one question to Redis for each would hold up all hits for 0.2 s.
    """

    def __init__(self, period: float, apart: float) -> None:
        self._period = period
        self._share = apart / period
        self._left: list[str] = []  # who still has to be seen; bound: the sites, and `again` a round
        self._begin = 0.0  # when to begin with the first again, monotonic

    def next(self, sites: Iterable[str]) -> list[str]:
        """Those whose turn it is in this round."""
        known = list(sites)
        if not self._left and time.monotonic() >= self._begin:
            self._begin = time.monotonic() + self._period
            self._left = known
        part = ceil(len(known) * self._share)
        turn, self._left = self._left[:part], self._left[part:]
        return turn

    def again(self, site: str) -> None:
        """In the next round it is its turn again."""
        self._left.insert(0, site)
