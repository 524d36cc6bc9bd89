"""Lease: which of several counting processes is at work."""

import time
from contextlib import suppress

from redis import Redis, RedisError
from redis.exceptions import LockError

from tracker import keys
from tracker.nodes import NodeAway

LEASE = 2.0  # seconds after which another counter takes over from one that was killed


class Lease:
    """Held by the process that counts; others stand by. It saves work, nothing relies on it."""

    def __init__(self, redis: Redis) -> None:
        self._lock = redis.lock(keys.LEASE, timeout=LEASE, thread_local=False)
        self._until = 0.0
        self._held = False

    def hold(self) -> bool:
        """Take it or keep it; False while another has it. While its node is away, whoever had it goes on."""
        if time.monotonic() < self._until:
            return True
        with suppress(NodeAway):
            self._held = self._renew() or self._lock.acquire(blocking=False)
        self._until = time.monotonic() + LEASE / 4 if self._held else 0.0
        return self._held

    def _renew(self) -> bool:
        try:
            return bool(self._lock.reacquire())
        except LockError:
            return False

    def release(self) -> None:
        """Let another start at once."""
        with suppress(LockError, RedisError):
            self._lock.release()
