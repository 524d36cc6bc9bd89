"""One way to connect to Redis."""

from functools import partial
from typing import Any
from urllib.parse import urlsplit

from redis import Connection, Redis, ResponseError, SSLConnection, UnixDomainSocketConnection
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, MovedError
from redis.retry import Retry

from tracker.cluster import Cluster
from tracker.cluster_map import is_cluster

TIMEOUT = 1.0  # seconds; redis-py's own 5 s would hold a visitor that long on a hung server

# What a server says that has become a replica; Redis 6.2 says it of a script in the middle of a sentence.
# https://github.com/redis/redis/blob/6.2/src/scripting.c
REPLICA = "You can't write against a read only replica"


class LooksAgain:
    """A connection that ends when its server has become a replica: behind the name there is another now.

    redis-py does so behind Sentinel only. The retry then connects anew, and looks the name up.
    """

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except MovedError as error:  # who asks a cluster follows it; who does not is told
            where = f"{error.host}:{error.port}"
            error.args = (f"the key lies at {where}: a Redis Cluster wants an address redis+cluster://…",)
            raise
        except ResponseError as error:
            if REPLICA not in str(error):
                raise
            self.disconnect()  # type: ignore[attr-defined]
            raise ConnectionError(f"the server has become a replica: {error}") from error


class Plain(LooksAgain, Connection):
    """Over TCP."""


class Encrypted(LooksAgain, SSLConnection):
    """Over TLS."""


CONNECTIONS = {"redis": Plain, "rediss": Encrypted, "unix": UnixDomainSocketConnection}


def connect(url: str, timeout: float = TIMEOUT) -> Redis:
    """A client of that Redis or Redis Cluster that answers bytes; it connects on first use.

    `timeout` is in seconds, for connecting as for each answer.

    One retry, on a fresh connection: after a restart of Redis the pool holds dead ones. What we
    send may be sent twice: the scripts know what they have done. What took too long is not tried
    again: the visitor has waited long enough.
    """
    server = partial(_server, timeout=timeout)
    return Cluster(url, server) if is_cluster(url) else server(url)


def _server(url: str, timeout: float) -> Redis:
    return Redis.from_url(
        url,
        connection_class=CONNECTIONS.get(urlsplit(url).scheme, Plain),
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
    )


__all__ = ["TIMEOUT", "connect"]
