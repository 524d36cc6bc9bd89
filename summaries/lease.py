"""Lease: which of several counting processes is at work."""

import time
from contextlib import suppress

from redis import Redis, RedisError
from redis.exceptions import LockError, OutOfMemoryError

from tracker import keys
from tracker.foreign import set_aside, undisturbed
from tracker.nodes import NodeAway

LEASE = 2.0  # seconds after which another counter takes over from one that was killed


class Lease:
    """Held by the process that counts; others stand by. It saves work, nothing relies on it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._lock = redis.lock(keys.LEASE, timeout=LEASE, thread_local=False)
        self._until = 0.0
        self._held = False

    def hold(self) -> bool:
        """Take it or keep it; False while another has it. While its node is away, whoever had it goes on."""
        if time.monotonic() < self._until:
            return True
        with suppress(NodeAway):
            self._held = self._renew() or self._take()
        self._until = time.monotonic() + LEASE / 4 if self._held else 0.0
        return self._held

    def _renew(self) -> bool:
        try:
            return bool(undisturbed(self._redis, [keys.LEASE], self._lock.reacquire))
        except LockError:
            return False

    def _take(self) -> bool:
        try:
            return self._lock.acquire(blocking=False) or (self._is_stale() and self._force())
        except OutOfMemoryError:  # who forgets raw hits makes room, and must not wait for it
            return not self._redis.exists(keys.LEASE)

    def _is_stale(self) -> bool:
        """Whether nobody of ours has it: it never expires, or once a clock set back has caught up."""
        left = self._redis.pttl(keys.LEASE)
        return left == -1 or left > LEASE * 1000

    def _force(self) -> bool:
        set_aside(self._redis, {keys.LEASE: "nothing"})
        return bool(self._lock.acquire(blocking=False))

    def release(self) -> None:
        """Let another start at once."""
        with suppress(LockError, RedisError):
            self._lock.release()
