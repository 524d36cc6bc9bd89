"""The handler of a connection's requests: strict, and lean where hits are concerned.

A request for the pixel goes to its door without WSGI between them, and its answer is sent by whoever has
stored it. All else goes pywsgi's way, which takes twice as long.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from socket import SHUT_RD, SHUT_RDWR
from typing import Any, Protocol

import gevent
from gevent.event import Event

from hitwall.head import Head, Refused, refusal
from hitwall.incoming import PIECE, Incoming
from hitwall.ordinary import Ordinary
from tracker.answers import Answer, counted, refused
from tracker.headers import HEAD_BYTES

IDLE = 30  # seconds in which a request has to come, or silent connections would fill the pool
BODY = 4  # times as long for the body: 8 MB come in two minutes at 70 kB/s
PIXEL = "/a.gif"
FAILED = refused("GET", 500, "not stored: a fault of ours")


class Door(Protocol):
    """Where hits go, see tracker/beacon.py."""

    def take(self, environ: dict[str, Any], told: Callable[[bool], None]) -> Answer | None: ...
    def outcome(self, method: str, is_stored: bool) -> Answer: ...


class Handler(Ordinary):
    """Answers on one connection, request after request."""

    door: Door | None = None  # of this process

    def __init__(self, sock: Any, address: Any, server: Any) -> None:
        self.socket, self.client_address, self.server = sock, address, server
        self.rfile = Incoming(sock)
        self.since = time.monotonic()  # when it began to wait for what comes next
        self.patience = 1  # times IDLE that this may take
        self._send = sock._sock.send  # the kernel's own, which takes what it can and never waits
        self._address = str(address[0]) if isinstance(address, tuple) else ""
        self._owes = False  # a hit waits for its answer
        self._settled: Event | None = None  # where somebody waits for that

    def handle(self) -> None:
        """All requests of the connection, until it ends."""
        OPEN.add(self)
        try:
            while self.handle_one_request():
                if self.rfile.left:
                    gevent.sleep(0)  # whoever sends many at once leaves others their turn
            self._settle()
        finally:
            OPEN.discard(self)
            with suppress(OSError):  # closed with something unread, the kernel would take back the answer
                self.socket._sock.recv(PIECE)
            self.socket.close()

    def handle_one_request(self) -> bool:
        """Whether another one may follow."""
        self.since, self.patience = time.monotonic(), 1
        try:
            head = self.rfile.head()
        except ValueError as error:
            self._refuse(str(error) if isinstance(error, Refused) else "400")
            return False
        except OSError:  # reset
            return False
        if head is None:
            return False
        self._settle()
        if not self.close_connection:
            self._serve(head)
        return not self.close_connection

    def _serve(self, head: Head) -> None:
        path, _, query = head.target.partition("?")
        self.command, self.request_version, self.close_connection = head.method, head.version, head.closes
        if path == PIXEL and self.door is not None and head.length <= len(self.rfile.left):
            self._take(head, query, self.door)
            return
        self.since = float("inf")
        self.socket.settimeout(IDLE if head.length else None)  # a body may never come
        if head.length:
            self.since, self.patience = time.monotonic(), BODY  # or a byte at a time
        self.answer(head)

    def _refuse(self, code: str) -> None:
        """Its reason goes to the client alone: strangers do not write our log."""
        self._settle()
        with suppress(OSError):
            self.socket.sendall(refusal(code))

    def _take(self, head: Head, query: str, door: Door) -> None:
        """A request for the pixel: the door gets what it looks at, and no more."""
        environ: dict[str, Any] = head.fields
        environ["REQUEST_METHOD"] = head.method
        environ["QUERY_STRING"] = query
        environ["REMOTE_ADDR"] = self._address
        environ[HEAD_BYTES] = head.size
        if head.length:
            environ["wsgi.input"] = BytesIO(self.rfile.read(head.length))
        self._owes = True
        answer: Answer | None = FAILED  # should the door raise: the page stays whole, and the log tells why
        try:
            answer = door.take(environ, self.told)
        finally:
            if answer is not None:
                self.close_connection |= answer is FAILED
                self._pay(answer.wire(self._connection(), int(time.time())))

    def told(self, is_stored: bool) -> None:
        """What became of a hit. Its answer goes out while this connection waits for the next request."""
        connection, second = self._connection(), int(time.time())
        if is_stored:
            self._pay(counted(self.command, connection, second))
        elif self.door is not None:
            self._pay(self.door.outcome(self.command, False).wire(connection, second))

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
        except OSError:  # gone, or it takes not even so little; behind half an answer none may follow
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


OPEN: set[Handler] = set()  # connections. Bound: the worker's


def close_silent(now: float, seconds: float) -> None:
    """Close connections that have sent no whole head for so long, or no body for BODY times as long.

    A timer each would cost more. What came before is still read and answered.
    """
    for handler in OPEN:
        if now - handler.since >= handler.patience * seconds:
            with suppress(OSError):
                handler.socket.shutdown(SHUT_RD)
