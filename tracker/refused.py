"""What doors refuse, counted in Redis by day and reason."""

from collections.abc import Mapping
from datetime import date

from redis import Redis

from tracker import keys

LIVES = 40 * 86_400  # seconds the counts of a day are kept


def count_refused(redis: Redis, reasons: Mapping[str, int], day: date) -> None:
    """Add so many hits to each reason; reasons are few and fixed. Raises RedisError."""
    if not reasons:
        return
    key = keys.refused(day)
    with redis.pipeline() as pipe:
        for reason, hits in reasons.items():
            pipe.hincrby(key, reason, hits)
        pipe.expire(key, LIVES)
        pipe.execute()
