"""Cluster: a Redis Cluster looks like one Redis, and a node that is away holds up its own sites alone.

redis-py's RedisCluster connects when it is made, asks one node after the other while one is away, seconds
each, and says so by what is no RedisError. Visitors wait for our doors: here a command goes to the node that
holds its key, and a second time only where the cluster says that the key is elsewhere by now.

A command is sent where its first key lies; all others must lie in the same slot, as those of a site do. While
a slot moves to another node its keys are out of reach for a moment: ASK and TRYAGAIN are not followed.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from redis import Redis
from redis.client import Pipeline, PubSub
from redis.exceptions import DataError, MovedError

from tracker.cluster_map import name_of
from tracker.listener import Listener
from tracker.nodes import NodeAway, Nodes, run

Command = tuple[tuple[Any, ...], dict[str, Any]]

# Questions to one server, which no key leads to.
OF_A_SERVER = {
    "BGREWRITEAOF",
    "BGSAVE",
    "CONFIG GET",
    "CONFIG SET",
    "FLUSHALL",
    "FLUSHDB",
    "INFO",
    "PING",
    "SCAN",
    "WAIT",
}
LOOK = 0.025  # seconds between two looks at the ends of streams,
LOOK_EACH = 0.0001  # or so much for each stream, some ten times what a look takes,
LOOK_MOST = 0.1  # but no more: a wall follows within 0.2


class Cluster(Redis):
    """A client of the cluster at that address; it connects on first use. `make` gives that of one node."""

    def __init__(self, url: str, make: Callable[[str], Redis]) -> None:
        self.nodes = Nodes(url, make)
        super().__init__(connection_pool=self.nodes.seed().connection_pool)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return self.nodes.at(_key(args), lambda node: run(node, *args, **options))

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        """A transaction is of one slot; other commands go to as many nodes as there are."""
        return Pipe(self, transaction)

    def pubsub(self, **options: Any) -> PubSub:
        """Listens at any node: each tells what was published at any other."""
        return Listener(self.nodes, **options)

    def close(self) -> None:
        self.nodes.close()

    def masters(self) -> dict[str, Redis]:
        """host:port of all masters -> their clients."""
        return {name_of(address): self.nodes.client(address) for address in self.nodes.map().masters()}

    def script_load(self, script: Any) -> Any:
        """On every master that is up; one that is away takes no script call either."""
        sha: Any = None
        for address in self.nodes.map().masters():
            with suppress(NodeAway):
                sha = self.nodes.ask(address, lambda node: node.script_load(script))
        return sha

    def scan_iter(self, *args: Any, **options: Any) -> Iterator[Any]:
        """The keys of all masters, in no order."""
        for address in self.nodes.map().masters():
            names = self.nodes.client(address).scan_iter(*args, **options)
            while (name := self.nodes.ask(address, partial(_next, names))) is not None:
                yield name

    def xread(self, streams: Any, count: Any = None, block: Any = None, **options: Any) -> Any:  # type: ignore[override]
        """As one Redis does it; it waits by looking again and again.

        Streams of a node that is away are passed over, after one NodeAway that says so.
        """
        end = time.monotonic() + (block or 0) / 1000
        pause = min(LOOK_MOST, max(LOOK, LOOK_EACH * len(streams)))
        while not (found := self._look(streams, count)) and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, pause))
        return found

    def _look(self, streams: Mapping[Any, Any], count: int | None) -> list[Any]:
        found: list[Any] = []
        names = list(streams)
        for address, places in self.nodes.by_owner(names).items():
            asked = [_xread(names[place], streams[names[place]], count) for place in places]
            known = self.nodes.was_away(address)
            try:
                answers = self.nodes.ask(address, partial(_run_all, asked, False))
            except (MovedError, NodeAway) as error:
                self.nodes.learn(error)
                if not known and not isinstance(error, MovedError):
                    raise  # what was read there before may be undone by who takes over
                continue
            for answer in filter(None, answers):
                found += answer.items() if isinstance(answer, dict) else answer
        return found


class Pipe(Pipeline):
    """Commands for one or more nodes, sent when they are executed."""

    def __init__(self, cluster: Cluster, transaction: bool) -> None:
        super().__init__(cluster.connection_pool, cluster.response_callbacks, transaction, None)
        self._nodes = cluster.nodes
        self._whole = transaction

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """The answers in the order of the commands; the first error is raised."""
        stack, self.command_stack = self.command_stack, []
        return self._nodes.follow(lambda: self._send(stack)) if stack else []

    def _send(self, stack: list[Command]) -> list[Any]:
        """A transaction goes where its first key lies; the node refuses a key of another slot."""
        if self._whole:
            return self._nodes.ask(self._nodes.owner(_key(stack[0][0])), partial(_run_all, stack, True))
        found: list[Any] = [None] * len(stack)
        for address, places in self._nodes.by_owner(_key(args) for args, _ in stack).items():
            part = [stack[place] for place in places]
            answers = self._nodes.ask(address, partial(_run_all, part, False))
            for place, answer in zip(places, answers, strict=True):
                found[place] = answer
        return found


def servers_of(redis: Redis) -> list[Redis]:
    """The clients of all servers that hold keys; that of the one Redis where it is no cluster."""
    return list(redis.masters().values()) if isinstance(redis, Cluster) else [redis]


def server_for(redis: Redis, key: str) -> Redis:
    """The client of the server that holds the key."""
    return redis.nodes.client(redis.nodes.owner(key)) if isinstance(redis, Cluster) else redis


def _key(args: tuple[Any, ...]) -> Any:
    """The key by which a command finds its node."""
    if args[0] in OF_A_SERVER:
        raise DataError(f"{args[0]} is a question to one server: ask each of servers_of()")
    return args[3] if args[0] in ("EVALSHA", "EVAL") else args[1]


def _run_all(commands: Iterable[Command], transaction: bool, node: Redis) -> list[Any]:
    with node.pipeline(transaction) as pipe:
        for args, options in commands:
            run(pipe, *args, **options)
        return pipe.execute()


def _next(names: Iterator[Any], node: Redis) -> Any:
    """None at the end; the iterator asks the node."""
    return next(names, None)


def _xread(name: Any, cursor: Any, count: int | None) -> Command:
    return ("XREAD", *(("COUNT", count) if count else ()), "STREAMS", name, cursor), {}
