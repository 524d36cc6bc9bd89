"""The handler of a connection's requests: strict, and lean where hits are concerned.

A request for the pixel goes to its door without WSGI between them, and its answer is sent by whoever has
stored it. All else goes pywsgi's way, which takes twice as long.
"""

import time
from contextlib import suppress
from io import BytesIO
from socket import SHUT_RD
from typing import Any

import gevent
from gevent.hub import Waiter

from hitwall import readers
from hitwall.head import END, Head, Refused, read, refusal
from hitwall.incoming import PIECE, Incoming
from hitwall.owed import IDLE, Door, Owed
from tracker.answers import Answer, refused
from tracker.headers import HEAD_BYTES

BODY = 4  # times as long for the body: 8 MB come in two minutes at 70 kB/s
PIXEL = "/a.gif"
HIT = (b"GET /a.gif?", b"POST /a.gif?")  # how a request begins that readers take
FAILED = refused("GET", 500, "not stored: a fault of ours")


class Handler(Owed):
    """Answers on one connection, request after request."""

    def __init__(self, sock: Any, address: Any, server: Any) -> None:
        super().__init__(sock)
        self.client_address, self.server = address, server
        self.rfile = Incoming(sock)
        self.since = time.monotonic()  # when it began to wait for what comes next
        self.patience = 1  # times IDLE that this may take
        self._address = str(address[0]) if isinstance(address, tuple) else ""
        self._receive, self._readable = sock._sock.recv, sock._read_event
        self._resting: Waiter[None] | None = None  # where the connection's greenlet leaves it to readers

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
        if not self.rfile.left:
            self._rest()
        try:
            head = None if self.close_connection else self.rfile.head()
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

    def _rest(self) -> None:
        """Leave what comes to the readers; returns when something is not theirs."""
        self._resting = Waiter()
        self._readable.start(readers.came, self._read)  # once, for all the hits that come
        try:
            self._resting.get()
        finally:
            self._resting = None
            self._readable.stop()

    def _rouse(self) -> None:
        """The connection's greenlet goes on."""
        if self._resting is not None:
            self._readable.stop()
            self.socket.hub.loop.run_callback(self._resting.switch, None)
            self._resting = None

    def _read(self) -> None:
        """What a reader does; an error ends this connection, and no other."""
        if self._resting is None:
            return
        try:
            self._take_or_leave()
        except BaseException:  # the next answer would be taken for the one that is missing
            self.close_connection = True
            raise
        finally:
            if self.close_connection:
                self._rouse()

    def _take_or_leave(self) -> None:
        """Take a hit that has come alone and as a whole, and leave all else to the connection's greenlet."""
        try:
            text = self._receive(PIECE)
        except BlockingIOError:
            return
        except OSError:  # reset; who reads again sees the end
            text = b""
        head = None if self._owes or self.close_connection else _whole_hit(text)
        if head is None or self.door is None:
            self.rfile.left = text
            self._rouse()
            return
        self.since = time.monotonic()
        self._begin(head)
        self._take(head, head.target.partition("?")[2], self.door)

    def _begin(self, head: Head) -> None:
        self.command, self.request_version, self.close_connection = head.method, head.version, head.closes

    def _serve(self, head: Head) -> None:
        path, _, query = head.target.partition("?")
        self._begin(head)
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


def _whole_hit(text: bytes) -> Head | None:
    """The head where that is all there is, and right; whoever reads it again refuses what is wrong."""
    if not text.startswith(HIT) or text.find(END) != len(text) - len(END):
        return None
    try:
        head = read(text[: -len(END)])
    except ValueError:
        return None
    return None if head.length else head


OPEN: set[Handler] = set()  # connections. Bound: the worker's


def close_silent(now: float, seconds: float) -> None:
    """Close connections that have sent no whole head for so long, or no body for BODY times as long.

    A timer each would cost more. What came before is still read and answered.
    """
    for handler in OPEN:
        if now - handler.since >= handler.patience * seconds:
            with suppress(OSError):
                handler.socket.shutdown(SHUT_RD)
