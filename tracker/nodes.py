"""Nodes of a Redis Cluster: which one holds a key, what it answers, and what to do while it is away."""

import random
import time
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any, TypeVar

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import ClusterDownError, ConnectionError, MovedError, TimeoutError

from tracker.cluster_map import Address, Map, name_of, node_url, read_map, seeds

T = TypeVar("T")

TURNS = 5  # times that a command is sent on
REST = 2.0  # seconds for which a node that did not answer is left alone; a hung one takes a whole timeout
FRESH = 0.25  # seconds for which the map is believed, whatever fails
ASKED = 2  # nodes asked for the map: each may take a whole timeout
AWAY = (ConnectionError, TimeoutError)


class NodeAway(ConnectionError):
    """A node of the cluster does not answer; the others may."""


class Nodes:
    """The nodes of the cluster at that address. `make` gives the client of one node, by its address."""

    def __init__(self, url: str, make: Callable[[str], Redis]) -> None:
        self._url = url
        self._make = make
        self._seeds = seeds(url)
        self._clients: dict[Address, Redis] = {}  # of the nodes that the map and the address name
        self._away: dict[Address, float] = {}  # those that did not answer -> when to try again, monotonic
        self._map: Map | None = None
        self._learned = float("-inf")
        self._lock = Lock()

    def at(self, key: str | bytes, do: Callable[[Redis], T]) -> T:
        """What `do` gives with the client of the node that holds the key; perhaps it is called again."""
        return self.follow(lambda: self.ask(self.owner(key), do))

    def follow(self, attempt: Callable[[], T]) -> T:
        """What the attempt gives; it is made again where the cluster has changed meanwhile."""
        for _ in range(TURNS):
            known = self._map
            try:
                return attempt()
            except (MovedError, ClusterDownError, ConnectionError) as error:
                self.learn(error, known)
                if self._map == known:
                    raise
        raise ConnectionError("the cluster changes faster than can be followed")

    def ask(self, address: Address, do: Callable[[Redis], T]) -> T:
        """What `do` gives with that node. Raises NodeAway, at once while that is known."""
        if self._away.get(address, 0.0) > time.monotonic():
            raise NodeAway(f"{name_of(address)} did not answer a moment ago")
        try:
            found = do(self.client(address))
        except AWAY as error:
            self._away[address] = time.monotonic() + REST
            raise NodeAway(f"{name_of(address)}: {error}") from error
        self._away.pop(address, None)
        return found

    def was_away(self, address: Address) -> bool:
        """Whether the node has not answered since somebody last found it away."""
        return address in self._away

    def owner(self, key: str | bytes) -> Address:
        """The node that holds the key. Raises NodeAway where none does."""
        slot = key_slot(key.encode() if isinstance(key, str) else key)
        address = self.map().owner(slot)
        if address is None:  # as a node tells it in the middle of a failover
            self.learn(None)
            address = self.map().owner(slot)
        if address is None:
            raise NodeAway("no node of the cluster holds the slot just now")
        return address

    def by_owner(self, keys: Iterable[str | bytes]) -> dict[Address, list[int]]:
        """Node -> places of the keys that it holds."""
        found: dict[Address, list[int]] = {}
        for place, key in enumerate(keys):
            found.setdefault(self.owner(key), []).append(place)
        return found

    def map(self) -> Map:
        """The map, as far as it is known. Raises RedisError where no node tells it."""
        if self._map is None:
            self.learn(None)
        if self._map is None:  # somebody has asked a moment ago
            raise ConnectionError("no node of the cluster answers")
        return self._map

    def client(self, address: Address) -> Redis:
        """That of the node; it connects on first use."""
        if address not in self._clients:
            self._clients[address] = self._make(node_url(self._url, address))
        return self._clients[address]

    def any_up(self) -> Address:
        """A node that is up, as far as is known."""
        return random.choice(self._up() or self._seeds)

    def seed(self) -> Redis:
        """The client of the first node that the address names."""
        return self.client(self._seeds[0])

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def learn(self, error: Exception | None, known: Map | None = None) -> None:
        """Have the map anew after an error, unless somebody has since it was the one `known`.

        Raises ConnectionError where there is none at all.
        """
        with self._lock:
            moved = isinstance(error, MovedError)
            if self._map is not (known or self._map) or (self._is_fresh() and not moved):
                return
            trouble = error
            for address in self._knowing(error):
                try:
                    found = self.ask(address, lambda node: run(node, "CLUSTER SLOTS"))
                except NodeAway as away:
                    trouble = away
                    continue
                self._take(read_map(found, address))
                break
            self._learned = time.monotonic()
            if self._map is None:  # it is no node that is away, but all there is
                raise ConnectionError(str(trouble or "no node of the cluster answers"))

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._learned < FRESH

    def _knowing(self, error: Exception | None) -> list[Address]:
        """Nodes to be asked for the map: where a key is said to be, else some that are up."""
        told = [(error.host, error.port)] if isinstance(error, MovedError) and error.host else []
        up = self._up()
        return [*told, *random.sample(up, len(up))][:ASKED]

    def _up(self) -> list[Address]:
        nodes = {*self._seeds, *(self._map.nodes if self._map else ())}
        return [address for address in nodes if self._away.get(address, 0.0) <= time.monotonic()]

    def _take(self, found: Map) -> None:
        if found.ranges and found != self._map:
            self._map = found
            named = {*self._seeds, *found.nodes}
            self._clients = {address: each for address, each in self._clients.items() if address in named}
            self._away = {address: until for address, until in self._away.items() if address in named}


def run(client: Redis, *command: Any, **options: Any) -> Any:
    """What the client gives for the command; redis-py has no types for it."""
    return client.execute_command(*command, **options)  # type: ignore[no-untyped-call]
