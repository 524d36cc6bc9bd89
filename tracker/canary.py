"""The canary: a marked hit that times the way to the screen. How a door tells it, and what Redis keeps of it.

Nobody else can send one: its sender puts a mark into Redis first, and a door takes each mark once. It
goes the way of every hit, into the raw log of a site of its own, and counts in no summary.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from redis import Redis

from tracker import keys
from tracker.foreign import undisturbed
from tracker.hit import CANARY, BadHit, Hit

SOURCE = "canary"  # of its hits, which no summary counts
UNDER_WAY = 30  # seconds that one may take; then its mark is worth nothing
KEPT = 100  # of them in the raw log
PERIODS = 10  # after so many without a try nothing is known any more
LATE = 3  # periods without one coming through, after which the walls say so


@dataclass(frozen=True)
class Canary:
    """What is known of the last ones."""

    seconds: float = 0.0  # from the sending of the last that came through to the frame that showed it
    at: datetime | None = None  # when that was
    failing: datetime | None = None  # since when none comes through

    def late(self, period: int, now: datetime) -> datetime | None:
        """Since when none has come through, where that is longer ago than LATE periods."""
        last = self.at or self.failing
        return last if last and (now - last).total_seconds() > LATE * period else None


def mark(redis: Redis) -> str:
    """A new mark, which a door takes within UNDER_WAY seconds; the one before is worth nothing then."""
    made = secrets.token_hex(16)
    redis.set(keys.MARK, made, ex=UNDER_WAY)
    return made


def recognise(redis: Redis, hit: Hit) -> Hit:
    """What is stored of a canary: nothing but its mark. Raises BadHit where a stranger sends one."""
    expected = cast(bytes | None, redis.get(keys.MARK))
    if expected is None or not hmac.compare_digest(expected, hit.path[1:].encode(errors="replace")):
        raise BadHit("reserved site", f"{CANARY} counts for nobody", 403)
    redis.delete(keys.MARK)
    return Hit(at=hit.at, site=CANARY, path=hit.path, source=SOURCE)


def came(redis: Redis, seconds: float, period: int, now: datetime) -> None:
    """One came through."""
    news = {"seconds": f"{seconds:.3f}", "at": now.isoformat(timespec="seconds")}
    _write(redis, period, lambda pipe: pipe.hset(keys.CANARY, mapping=news).hdel(keys.CANARY, "failing"))


def failed(redis: Redis, period: int, now: datetime) -> None:
    """One did not."""
    since = now.isoformat(timespec="seconds")
    _write(redis, period, lambda pipe: pipe.hsetnx(keys.CANARY, "failing", since))


def _write(redis: Redis, period: int, put: Callable[[Any], Any]) -> None:
    def write() -> None:
        with redis.pipeline() as pipe:
            put(pipe)
            pipe.expire(keys.CANARY, PERIODS * period)
            pipe.execute()

    undisturbed(redis, [keys.CANARY], write)


def last(redis: Redis) -> Canary | None:
    """What is known; None where none has been tried lately."""
    found = undisturbed(redis, [keys.CANARY], lambda: cast(dict[bytes, bytes], redis.hgetall(keys.CANARY)))
    try:
        known = Canary(float(found.get(b"seconds", 0)), _time(found.get(b"at")), _time(found.get(b"failing")))
        if not 0 <= known.seconds < UNDER_WAY:  # nor an infinity, which JSON does not know
            return None
    except ValueError:  # a hash, but not ours
        return None
    return known if known.at or known.failing else None


def _time(text: bytes | None) -> datetime | None:
    return datetime.fromisoformat(text.decode()).astimezone(UTC) if text else None
