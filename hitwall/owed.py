"""Owed: the answer that a connection waits for. Whoever has stored the hit sends it whole, in its turn."""

import time
from collections.abc import Callable
from contextlib import suppress
from socket import SHUT_RD, SHUT_RDWR
from typing import Any, Protocol

import gevent
from gevent.event import Event

from hitwall.ordinary import Ordinary
from tracker.answers import Answer, counted

IDLE = 30  # seconds in which a request has to come, or silent connections would fill the pool


class Door(Protocol):
    """Where hits go, see tracker/beacon.py."""

    def take(self, environ: dict[str, Any], told: Callable[[bool], None]) -> Answer | None: ...
    def outcome(self, method: str, is_stored: bool) -> Answer: ...


class Owed(Ordinary):
    """Sends the answers to hits, each before the next request is looked at."""

    door: Door | None = None  # of this process

    def __init__(self, sock: Any) -> None:
        self.socket = sock
        self._send = sock._sock.send  # the kernel's own, which takes what it can and never waits
        self._owes = False  # a hit waits for its answer
        self._settled: Event | None = None  # where somebody waits for that

    def told(self, is_stored: bool) -> None:
        """What became of a hit. Its answer goes out while this connection waits for the next request."""
        try:
            connection, second = self._connection(), int(time.time())
            if is_stored:
                self._pay(counted(self.command, connection, second))
            elif self.door is not None:
                self._pay(self.door.outcome(self.command, False).wire(connection, second))
        except BaseException:  # an error of ours
            self._cut()
            raise

    def _connection(self) -> str:
        """What the answer says of it."""
        if self.stopping and not self.close_connection:
            self.close_connection = True
            with suppress(OSError):
                self.socket.shutdown(SHUT_RD)  # reading has begun
        if self.close_connection:
            return "close"
        return "keep-alive" if self.request_version == "HTTP/1.0" else ""

    def _pay(self, answer: bytes) -> None:
        """Send it; what the kernel does not take at once goes when it does."""
        try:
            sent = self._send(answer)
        except BlockingIOError:
            sent = 0
        except OSError:  # reset; reading tells, too
            sent = len(answer)
        if sent < len(answer):
            gevent.spawn(self._pay_rest, answer[sent:])
        else:
            self._is_paid()

    def _pay_rest(self, rest: bytes) -> None:
        self.socket.settimeout(IDLE)
        try:
            self.socket.sendall(rest)
        except OSError:  # gone, or it takes not even so little
            self._cut()
        else:
            self._is_paid()

    def _cut(self) -> None:
        """End the connection: behind half an answer, or none, no other may follow."""
        self.close_connection = True
        with suppress(OSError):
            self.socket.shutdown(SHUT_RDWR)
        self._is_paid()

    def _is_paid(self) -> None:
        self._owes = False
        if self._settled is not None:
            self._settled.set()

    def _settle(self) -> None:
        """Wait until the answer is sent: what comes after it must not overtake it."""
        while self._owes:
            self._settled = Event()
            self._settled.wait()
