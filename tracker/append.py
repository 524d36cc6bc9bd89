"""Append: the script that appends hits, until as many replicas have them as are asked for.

First the site's name, then its hits: a counter must be able to find them.

What lies under the keys it needs and is none of ours is set aside, and does not hold up the site.
"""

import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, cast

from redis import Redis, RedisError
from redis.exceptions import NoScriptError

from tracker import keys
from tracker.cluster import Cluster
from tracker.cluster_map import name_of
from tracker.foreign import undisturbed
from tracker.held import Held
from tracker.hit import CANARY
from tracker.nodes import NodeAway

KNOWN = 5  # seconds between two reminders that a site exists, should somebody empty Redis
REPLICATED = 300  # milliseconds that replicas get to tell that they have a batch; a visitor is waiting

Call = tuple[list[str], list[Any]]  # keys and arguments of the script


class TooFewReplicas(RedisError):
    """Redis has the hits, but not as many of its replicas as HITWALL_REPLICAS says."""


class Append:
    """append.lua on one Redis."""

    def __init__(self, redis: Redis, replicas: int = 0) -> None:
        self._redis = redis
        self._replicas = replicas
        self._held = Held(redis)
        self._known: dict[str, float] = {}  # site -> when to name it again; bounded like the sites
        self._script = redis.register_script(Path(__file__).with_name("append.lua").read_text("utf-8"))

    def __call__(
        self, site: str, batches: Sequence[tuple[Any, bytes]], names: Sequence[str], head: list[Any]
    ) -> int:
        """Append batches of a source, position and hits as encode_lines has them, under all its names. What
        comes back, and what `head` is, the script says. Raises RedisError.
        """
        if any(hits for _, hits in batches):
            self._name_first(site)
        places, args = _call(site, batches, names, head)
        position = "number" if args[1] == "<" else "string"
        wanted = {places[0]: "stream", **dict.fromkeys(places[1:], position)}
        appended, new = undisturbed(self._redis, wanted, lambda: self._stored(places, args))
        self._name_again(site, appended, new)
        return appended

    def each(self, batches: Sequence[tuple[str, bytes, str, int]], keep: int) -> list[bool]:
        """Append batches, each with its site, hits, source and position, in one exchange.

        Which of them Redis has taken. It may have others, too: who appends these again will know. No site
        may be there twice, for its second batch could overtake the first. Raises RedisError.
        """
        if self._replicas or isinstance(self._redis, Cluster):
            return [False] * len(batches)
        for site, *_ in batches:
            self._name_first(site)
        calls = [_call(site, [(at, hits)], [source], [keep, "<"]) for site, hits, source, at in batches]
        answers = self._held.ask_all([self._evalsha(*call) for call in calls])
        for (site, *_), answer in zip(batches, answers, strict=True):
            if isinstance(answer, list):
                self._name_again(site, *answer)
        return [isinstance(answer, list) for answer in answers]

    def _name_first(self, site: str) -> None:
        if site != CANARY and self._known.get(site, 0.0) < time.monotonic():
            try:
                self._name(site)
            except NodeAway:  # that of the names, not the site's
                if site not in self._known:
                    raise
            self._known[site] = time.monotonic() + KNOWN

    def _name_again(self, site: str, appended: int, new: int) -> None:
        """Redis was emptied, and the name with it, where the log is new."""
        if new and appended > 0 and site != CANARY:
            self._name(site)

    def _name(self, site: str) -> None:
        undisturbed(self._redis, [keys.SITES], lambda: self._redis.sadd(keys.SITES, site))

    def _evalsha(self, places: Sequence[str], args: Sequence[Any]) -> tuple[Any, ...]:
        return ("EVALSHA", self._script.sha, len(places), *places, *args)

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
        call = self._evalsha(places, args)
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


def _call(site: str, batches: Sequence[tuple[Any, bytes]], names: Sequence[str], head: list[Any]) -> Call:
    places = [keys.raw(site), *(keys.seen(site, name) for name in names)]
    return places, [*head, *chain(*batches)]


def server_of(redis: Redis, site: str) -> str:
    """Which server holds the site's keys; empty where there is but one. Raises RedisError."""
    if not isinstance(redis, Cluster):
        return ""
    return name_of(redis.nodes.owner(keys.raw(site)))
