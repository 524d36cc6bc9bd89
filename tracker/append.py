"""Append: the script that appends hits, until as many replicas have them as are asked for.

What lies under the keys it needs and is none of ours is set aside, and does not hold up the site.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from redis import Redis, RedisError
from redis.exceptions import NoScriptError

from tracker import keys
from tracker.cluster import Cluster
from tracker.cluster_map import name_of
from tracker.foreign import undisturbed
from tracker.held import Held

REPLICATED = 300  # milliseconds that replicas get to tell that they have a batch; a visitor is waiting


class TooFewReplicas(RedisError):
    """Redis has the hits, but not as many of its replicas as HITWALL_REPLICAS says."""


class Append:
    """append.lua on one Redis."""

    def __init__(self, redis: Redis, replicas: int = 0) -> None:
        self._redis = redis
        self._replicas = replicas
        self._held = Held(redis)
        self._script = redis.register_script(Path(__file__).with_name("append.lua").read_text("utf-8"))

    def __call__(self, places: Sequence[str], args: Sequence[Any]) -> tuple[int, bool]:
        """Hits appended (see the script), and whether the log is new. Raises RedisError."""
        position = "number" if args[1] == "<" else "string"
        wanted = {places[0]: "stream", **dict.fromkeys(places[1:], position)}
        appended, new = undisturbed(self._redis, wanted, lambda: self._stored(places, args))
        return appended, bool(new)

    def name(self, site: str) -> None:
        """Say that there is such a site. Raises RedisError."""
        undisturbed(self._redis, [keys.SITES], lambda: self._redis.sadd(keys.SITES, site))

    def _stored(self, places: Sequence[str], args: Sequence[Any]) -> list[int]:
        if isinstance(self._redis, Cluster):
            if self._replicas:
                return self._redis.nodes.at(places[0], lambda node: self._replicated(node, places, args))
            return cast(list[int], self._script(keys=places, args=args))
        if self._replicas:
            return self._replicated(self._redis, places, args)
        return self._quick(places, args)

    def _quick(self, places: Sequence[str], args: Sequence[Any]) -> list[int]:
        """Sent again, a batch is there once."""
        call = ("EVALSHA", self._script.sha, len(places), *places, *args)
        try:
            return cast(list[int], self._held.ask(*call))
        except NoScriptError:
            self._redis.script_load(self._script.script)
            return cast(list[int], self._held.ask(*call))

    def _replicated(self, server: Redis, places: Sequence[str], args: Sequence[Any]) -> list[int]:
        """On one connection: WAIT is about what this one has written. Raises TooFewReplicas."""
        for _ in range(2):
            with server.pipeline(transaction=False) as pipe:
                pipe.evalsha(self._script.sha, len(places), *places, *args)
                pipe.wait(self._replicas, REPLICATED)
                stored, copies = pipe.execute(raise_on_error=False)
            if not isinstance(stored, NoScriptError):
                break
            server.script_load(self._script.script)
        for answer in (stored, copies):
            if isinstance(answer, Exception):
                raise answer
        if copies < self._replicas:
            raise TooFewReplicas(f"{copies} of {self._replicas} replicas have the hits")
        return cast(list[int], stored)


def server_of(redis: Redis, site: str) -> str:
    """Which server holds the site's keys; empty where there is but one. Raises RedisError."""
    if not isinstance(redis, Cluster):
        return ""
    return name_of(redis.nodes.owner(keys.raw(site)))
