"""Listener: a subscription on a Redis Cluster, which lasts longer than the node that it was made at."""

import time
from typing import Any

from redis.client import PubSub

from tracker.nodes import NodeAway, Nodes

ALIVE = 1.0  # seconds after which the node is asked whether it is there


class Listener(PubSub):
    """A subscription at one of the nodes; NodeAway when that one is gone, then at another."""

    def __init__(self, nodes: Nodes, **options: Any) -> None:
        self._nodes = nodes
        self._address = nodes.any_up()
        self._asked = 0.0  # whether it is there, monotonic
        super().__init__(nodes.seed().connection_pool, **options)

    def execute_command(self, *args: Any) -> None:
        if self.connection is None:
            self._address = self._nodes.any_up()
            self.connection_pool = self._nodes.client(self._address).connection_pool
            self._asked = time.monotonic()
        subscribe = super().execute_command
        self._nodes.ask(self._address, lambda node: subscribe(*args))  # type: ignore[no-untyped-call]

    def check_health(self) -> None:
        """A node that hangs, or that the others have given up, tells nothing more and does not say so."""
        connection: Any = self.connection
        if time.monotonic() - self._asked < ALIVE:
            return
        gone = self._address not in self._nodes.map().nodes
        silent = self.health_check_response_counter > 0 and not connection.can_read(timeout=0)
        if gone or silent:
            raise NodeAway("the node of the cluster that was listened to is gone")
        connection.send_command("PING", self.HEALTH_CHECK_MESSAGE, check_health=False)
        self.health_check_response_counter += 1
        self._asked = time.monotonic()
