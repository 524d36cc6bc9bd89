"""Which Redis a storage works on, and what it needs there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from redis import Redis, RedisError
from redis.connection import parse_url

from tracker import casts
from tracker.addresses import Addresses
from tracker.cluster_map import is_cluster, seeds
from tracker.connection import connect
from tracker.raw import RawLog
from tracker.settings import Settings
from tracker.sites import Sites
from tracker.storage import Away
from tracker.visitors import Visitors

PORT = 6379  # Redis's own


@dataclass(frozen=True)
class Reached:
    """One Redis, and what works on it; nothing connects before it is used."""

    url: str
    redis: Redis
    raw: RawLog
    sites: Sites
    visitors: Visitors
    addresses: Addresses

    @classmethod
    def at(cls, url: str, settings: Settings) -> "Reached":
        redis = connect(url)
        visitors = Visitors(settings.visitor, redis)
        addresses = Addresses(settings, visitors.hashed_address)
        return cls(url, redis, RawLog(redis, settings.replicas), Sites(settings, redis), visitors, addresses)


def checked(url: str) -> str:
    """The same. Raises ValueError, without a password in it, where no Redis has such an address."""
    try:
        return casts.redis_url(url)
    except ValueError as wrong:
        raise ValueError(f"url {wrong}") from None


def address(host: str, port: int, password: str | None) -> str:
    """The URL of that Redis, with 127.0.0.1 and PORT for what is empty; empty where all is."""
    if not (host or port or password):
        return ""
    name = f"[{host}]" if ":" in host else host or "127.0.0.1"
    secret = f":{quote(password, safe='')}@" if password else ""
    return f"redis://{secret}{name}:{port or PORT}/0"


def location(url: str) -> str:
    """Where that Redis and its database are, without what may change: names and passwords."""
    if is_cluster(url):
        return repr(sorted(seeds(url)))
    found = parse_url(url)  # type: ignore[no-untyped-call]
    server = found.get("path") or (found.get("host") or "localhost", found.get("port") or PORT)
    return repr((server, found.get("db") or 0))


@contextmanager
def answers() -> Iterator[None]:
    """What Redis does not do is Away, with what it said."""
    try:
        yield
    except RedisError as error:
        raise Away(f"Redis: {error}") from error
