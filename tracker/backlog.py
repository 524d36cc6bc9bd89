"""How far the counting process is behind with a site: what pours in many hits waits for it."""

import time
from typing import Any, cast

from redis import Redis

from tracker import keys
from tracker.raw import START, order

CHECK = 0.2  # seconds for which an answer is believed
FULL = 2.5  # seconds between the oldest and the newest hit that wait: about 100,000 of an import


class Backlog:
    """The hits of a site that wait to be counted."""

    def __init__(self, redis: Redis, site: str) -> None:
        self._redis = redis
        self._site = site
        self._asked = 0.0  # when, monotonic
        self._full = False

    def has_counter(self) -> bool:
        """Whether a counting process is at work."""
        return bool(self._redis.exists(keys.LEASE))

    def seconds(self) -> float:
        """What lies between the first and the last that wait: no clock but Redis' own; 0 for none.

        Waiting is what the foremost summary has not counted: one that is new may take long to join.
        """
        first = self._id(self._redis.xrange(keys.raw(self._site), f"({self.counted()}", count=1))
        last = self._id(self._redis.xrevrange(keys.raw(self._site), count=1))
        return max(0, order(last)[0] - order(first)[0]) / 1000 if first != START else 0.0

    def is_full(self) -> bool:
        """Whether a counting process is at work and more waits than should; asked at most every CHECK."""
        if time.monotonic() - self._asked >= CHECK:
            self._full = self.has_counter() and self.seconds() > FULL
            self._asked = time.monotonic()
        return self._full

    def last(self) -> str:
        """The id of the newest hit."""
        return self._id(self._redis.xrevrange(keys.raw(self._site), count=1))

    def counted(self) -> str:
        """The id up to which the foremost summary has counted."""
        cursors = cast(list[bytes], self._redis.hvals(keys.cursor(self._site)))
        return max((cursor.decode() for cursor in cursors), key=order, default=START)

    def _id(self, entries: Any) -> str:
        return entries[0][0].decode() if entries else START
