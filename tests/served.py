"""A server with our handler, in this process, and a door that does as it is told."""

import socket as sockets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.pool import Pool

from hitwall import server
from hitwall.handler import OPEN, Handler
from hitwall.server import SERVING, Server
from tests.smuggling import TARGET
from tracker.answers import COUNTED, Answer, refused

PIXEL, ELSEWHERE = TARGET, b"/elsewhere" + TARGET[6:]
HEAD = b"GET %b HTTP/1.1\r\nHost: a\r\n"
POST = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
both_ways = pytest.mark.parametrize("target", [PIXEL, ELSEWHERE], ids=["pixel", "ordinary"])


@dataclass
class Door:
    """Takes all hits, and tells of them when it is told to, or at once."""

    holds: bool = False
    bodies: list[bytes] = field(default_factory=list)
    environs: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[Callable[[bool], None]] = field(default_factory=list)

    def take(self, environ: dict[str, Any], told: Callable[[bool], None]) -> Answer | None:
        if "refused" in environ["QUERY_STRING"]:
            return refused(environ["REQUEST_METHOD"], 400, "no hit")
        if environ["REQUEST_METHOD"] not in COUNTED:
            return refused(environ["REQUEST_METHOD"], 405, "bad method")
        self.read(environ)
        self.waiting.append(told)
        if not self.holds:
            gevent.spawn(self.tell)
        return None

    def read(self, environ: dict[str, Any]) -> None:
        self.environs.append(environ)
        is_post = environ["REQUEST_METHOD"] == "POST"
        self.bodies.append(environ["wsgi.input"].read() if is_post and "wsgi.input" in environ else b"")

    def outcome(self, method: str, is_stored: bool) -> Answer:
        return COUNTED[method] if is_stored else refused(method, 503, "not stored")

    def tell(self, is_stored: bool = True) -> None:
        """All that wait."""
        waiting, self.waiting = self.waiting, []
        for told in waiting:
            told(is_stored)

    def application(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """The same door, asked through WSGI."""
        said = self.outcome(environ["REQUEST_METHOD"], True) if environ["REQUEST_METHOD"] in COUNTED else None
        said = said or refused(environ["REQUEST_METHOD"], 405, "bad method")
        if "refused" in environ["QUERY_STRING"]:
            said = refused(environ["REQUEST_METHOD"], 400, "no hit")
        else:
            self.read(environ)
        start(said.line, said.headers)
        return [said.body] if said.body else []


class Served:
    """A server with our handler, and connections to it."""

    def __init__(self, door: Door, application: Any = None) -> None:
        self.door = door
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        options: Any = {"handler_class": Handler, "spawn": Pool(100), "log": None, "environ": {}}
        self.server = Server(listener, application=application or door.application, **options)
        self.server.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.server.address, timeout=10)

    def talk(self, *pieces: bytes) -> bytes:
        """All that comes back to these, each sent when the one before was read, until the end."""
        with self.connect() as door:
            door.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
            for piece in pieces:
                try:
                    door.sendall(piece)
                except ConnectionError:  # it was refused already
                    break
                gevent.sleep(0)
            return rest(door)


def rest(door: Any, ends: bool = True) -> bytes:
    """What comes until the connection is closed; with the end of our own requests."""
    answer = b""
    try:
        if ends:
            door.shutdown(sockets.SHUT_WR)
        while piece := door.recv(65_536):
            answer += piece
    except ConnectionError:
        pass
    return answer


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server whose door answers at once, and whose connections have all ended when it has."""
    monkeypatch.setattr(server, "HANDSHAKE", 0)
    made = Served(Door())
    monkeypatch.setattr(Handler, "door", made.door)
    try:
        yield made
    finally:
        made.server.stop(1)
        SERVING.remove(made.server)
        assert set() == OPEN


def until(condition: Callable[[], object]) -> None:
    with gevent.Timeout(10):
        while not condition():
            gevent.sleep(0.001)
