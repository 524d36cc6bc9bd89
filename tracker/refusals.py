"""Counting what the doors refuse, by reason and day."""

from collections import Counter
from datetime import UTC, datetime

import gevent
from redis import Redis, RedisError

from tracker.metrics import count_refusals
from tracker.refused import count_refused

EVERY = 0.5  # seconds between two writes


class Refusals:
    """Keeps the counts of the last moment and adds them to Redis; reasons are few and fixed."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._counts: Counter[str] = Counter()
        self._owed: Counter[str] = Counter()  # what Redis could not take
        self._writer: gevent.Greenlet[[], None] | None = None

    def count(self, reason: str) -> None:
        """Count one refusal; never waits."""
        self._counts[reason] += 1
        if self._writer is None or self._writer.dead:
            self._writer = gevent.spawn(self._write)

    def _write(self) -> None:
        while self._counts or self._owed:
            gevent.sleep(EVERY)
            self.flush()

    def flush(self) -> None:
        """Add what has been counted; what Redis cannot take just now stays for the next time."""
        counts, self._counts = self._counts, Counter()
        count_refusals("pixel", counts)
        owed, self._owed = self._owed + counts, Counter()
        try:
            count_refused(self._redis, owed, datetime.now(UTC))
        except RedisError:
            self._owed.update(owed)
