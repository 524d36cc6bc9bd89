"""Health: whether Redis answers and the counter works, what waits on disk, and the canary.

For walls, /readyz and /metrics. However often it is asked, Redis and the disk are asked once a second.
"""

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from redis import Redis, RedisError

from summaries.counting_report import reported
from tracker import canary, keys
from tracker.canary import Canary
from tracker.settings import Settings
from tracker.spooled import DOOR, Spooled, spooled

FRESH = 1.0  # seconds an answer is good for
FULL = 0.95  # of its bound: the next batch may not find room

Note = dict[str, Any]  # `what` is wrong, and `since` when, to the second


@dataclass(frozen=True)
class Health:
    """What was found at one moment."""

    redis: str = ""  # why it is out of reach, in one word of ours; empty where it answers
    counting: bool = False  # whether a counting process is at work
    lag: float | None = None  # seconds, as that process tells; None where it does not
    metrics: bytes = b""  # of that process, in Prometheus' text format
    canary: Canary | None = None
    spool: Spooled = field(default_factory=Spooled)


class Checks:
    """Looks, at most once in FRESH seconds; others who ask meanwhile wait for the same answer."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._redis = redis
        self._settings = settings
        self._most = settings.spool_bytes
        self._max_lag = settings.max_lag
        self._period = settings.canary
        self._lock = Lock()
        self._found = Health()
        self._spool = Spooled()
        self._asked = self._looked = float("-inf")  # Redis, and the disk

    def now(self) -> Health:
        """All of it; takes as long as Redis may, and raises nothing."""
        with self._lock:
            if time.monotonic() - self._asked >= FRESH:
                self._found = self._ask()
                self._asked = time.monotonic()
        return replace(self._found, spool=self.spool())

    def spool(self) -> Spooled:
        """What waits on this machine's disk; asks no Redis."""
        if time.monotonic() - self._looked >= FRESH:
            self._looked = time.monotonic()
            self._spool = on_disk(self._settings)
        return self._spool

    def _ask(self) -> Health:
        try:
            counting = bool(self._redis.exists(keys.LEASE))
            lag, metrics = reported(self._redis) or (None, b"")
            known = canary.last(self._redis) if self._period else None
        except RedisError as error:
            return Health(redis=type(error).__name__)  # its text may name the server
        return Health("", counting, lag, metrics, known)

    def troubles(self, found: Health) -> list[str]:
        """Why not everything works as it should, a sentence each."""
        return [text for text in (self._redis_trouble(found), self._spool_trouble(found)) if text]

    def _redis_trouble(self, found: Health) -> str:
        if found.redis:
            return f"Redis is out of reach: {found.redis}"
        if not found.counting:
            return "No counter is at work: start one with hitwall count"
        if found.lag is None:
            return "The counter at work does not tell how far it is: see its log"
        if found.lag > self._max_lag:
            return f"The counter is {found.lag:.1f} s behind, HITWALL_MAX_LAG is {self._max_lag} s"
        return ""

    def _spool_trouble(self, found: Health) -> str:
        if not self._is_full(found):
            return ""
        waits = f"{found.spool.bytes / 1e6:.1f} MB of hits wait on disk"
        return f"The spool is full: {waits}, HITWALL_SPOOL_MB is {self._most // 2**20}"

    def _is_full(self, found: Health) -> bool:
        return found.spool.bytes >= FULL * self._most

    def notes(self, found: Health, now: datetime) -> list[Note]:
        """What a wall says of hits on disk, and of a canary that does not come through."""
        told: list[Note] = []
        if self._is_full(found):
            told.append({"what": "full", "bytes": found.spool.bytes})
        elif found.spool.files:
            told.append({"what": "spool", "bytes": found.spool.bytes, **_since(found.spool.oldest)})
        late = found.canary.late(self._period, now) if found.canary else None
        if late:
            told.append({"what": "canary", **_since(late)})
        return told

    def to_screen(self, found: Health, now: datetime) -> dict[str, Any] | None:
        """How long the last canary took, where that is not too long ago."""
        known = found.canary
        if known is None or known.at is None or known.late(self._period, now):
            return None
        return {"seconds": known.seconds, "at": known.at.isoformat()}


def on_disk(settings: Settings) -> Spooled:
    """What the doors have put on this machine's disk because Redis could not take it."""
    return spooled(settings.spool, DOOR)


def _since(moment: datetime | None) -> Note:
    return {"since": moment.astimezone(UTC).isoformat(timespec="seconds")} if moment else {}
