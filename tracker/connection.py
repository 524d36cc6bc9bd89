"""One way to connect to Redis."""

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT = 1.0  # seconds; redis-py's own 5 s would hold a visitor that long on a hung server


def connect(url: str) -> Redis:
    """A client of that Redis that answers bytes; it connects on first use.

    One retry, on a fresh connection: after a restart of Redis the pool holds dead ones. What we
    send may be sent twice: both scripts know what they have done.
    """
    return Redis.from_url(
        url,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 1),
    )
