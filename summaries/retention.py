"""Retention: counters expire as the settings say now, also those written when they said something else."""

from collections.abc import Iterator
from itertools import islice

from redis import Redis

from summaries.buckets import Calendar
from tracker import keys

PIECE = 500  # keys looked at in one step, some 3 ms; a shared Redis has others, too
NEVER = -1  # what TTL says of a key that does not expire; of one that is not there it says -2
MEASURES = [f":{measure}:".encode() for measure in keys.MEASURES]  # of which a counter's key holds one
CLOSE = 60  # seconds; Redis rounds, and its clock is not ours


class Retention:
    """One pass over all counters, a piece at a time: a counter's own batches see to all that come later."""

    def __init__(self, redis: Redis, calendar: Calendar) -> None:
        self._redis = redis
        self._calendar = calendar
        self._names: Iterator[bytes] | None = None
        self.is_done = False

    def step(self, now: float) -> int:
        """How many counters expire otherwise from now on (seconds since 1970). Raises RedisError, after which
        the pass begins anew.
        """
        if self.is_done:
            return 0
        names, self._names = self._names or self._all(), None
        piece = list(islice(names, PIECE))
        self.is_done = len(piece) < PIECE
        changed = self._set(piece, now)
        self._names = names
        return changed

    def _all(self) -> Iterator[bytes]:
        found: Iterator[bytes] = self._redis.scan_iter(count=PIECE)
        return found

    def _set(self, names: list[bytes], now: float) -> int:
        asking, telling = (self._redis.pipeline(transaction=False) for _ in range(2))
        found = {name: key for name in names if (key := _counter(name))}
        for name in found:
            asking.ttl(name)
        for (name, key), left in zip(found.items(), asking.execute(), strict=True):
            expires = self._calendar.expires(key.bucket)
            if expires is None and left >= 0:
                telling.persist(name)
            elif expires is not None and (left == NEVER or (left >= 0 and abs(left + now - expires) > CLOSE)):
                telling.expireat(name, expires)
        return len(telling.execute())


def _counter(name: bytes) -> keys.Key | None:
    """The key of a counter; None for any other."""
    key = keys.parse(name) if any(measure in name for measure in MEASURES) else None
    return key if key and key.kind == "counter" else None
