"""A TCP proxy in front of Redis whose network can be made bad: slow, cut, black-holed, led elsewhere."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

HOST = "127.0.0.1"
CHUNK = 65_536  # bytes


class Proxy:
    """Listens on a port of its own and leads to that port, as good a network as there can be at first."""

    def __init__(self, target: int) -> None:
        self.dropped = 0  # answers that were dropped
        self._target = target
        self._delay = 0.0
        self._marker, self._every, self._seen = b"", 1, 0
        self._refuses = False
        self._open = threading.Event()  # clear: a black hole
        self._open.set()
        self._over = threading.Event()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server((HOST, 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def delay(self, seconds: float) -> None:
        """Every answer comes that much later."""
        self._delay = seconds

    def drop_answer_of(self, marker: bytes, every: int = 1) -> None:
        """Each `every`-th request that holds the marker is done, then its connection cut, not answered."""
        with self._lock:
            self._marker, self._every, self._seen = marker, every, 0

    def refuse(self) -> None:
        """Cut all connections, and each new one at once."""
        self._refuses = True
        self.cut()

    def cut(self) -> None:
        """Cut all connections; new ones are taken."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            _shut(*pair)

    def swallow(self) -> None:
        """A black hole: nothing is answered, nothing closed. What was sent meanwhile arrives after `heal`."""
        self._open.clear()

    def to(self, port: int) -> None:
        """New connections lead there; those that were are cut."""
        self._target = port
        self.cut()

    def heal(self) -> None:
        """A good network again."""
        self._delay, self._refuses = 0.0, False
        self.drop_answer_of(b"")
        self._open.set()

    def close(self) -> None:
        self._over.set()
        self._open.set()
        _shut(self._listener)
        self._acceptor.join()
        self._listener.close()
        self.cut()

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.wait()
        try:
            if self._refuses or self._over.is_set():
                raise ConnectionRefusedError
            server = socket.create_connection((HOST, self._target), 5)
        except OSError:
            client.close()
            return
        Pair(self, client, server).run()

    # What a pair of connections asks:

    def enter(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            self._pairs.add(pair)

    def leave(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            self._pairs.discard(pair)

    def condemns(self, request: bytes) -> bool:
        """Whether the answer of this request is to be dropped."""
        with self._lock:
            if not self._marker or self._marker not in request:
                return False
            self._seen += 1
            return self._seen % self._every == 0

    def wait(self) -> None:
        """What stands between two ends of the network."""
        self._open.wait()

    def late(self) -> None:
        """What stands before an answer."""
        if self._delay:
            self._over.wait(self._delay)
        self._open.wait()


class Pair:
    """One client's connection and ours to Redis; bytes go both ways until one of them ends."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._sockets = (client, server)
        self._condemned = False
        for each in self._sockets:
            each.settimeout(None)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        client, server = self._sockets
        self._proxy.enter(self._sockets)
        back = threading.Thread(target=self._pump, args=(server, client, self._answer), daemon=True)
        back.start()
        self._pump(client, server, self._ask)
        back.join()
        self._proxy.leave(self._sockets)
        client.close()
        server.close()

    def _pump(self, source: socket.socket, sink: socket.socket, passes: Callable[[bytes], bool]) -> None:
        with suppress(OSError):
            while (chunk := source.recv(CHUNK)) and passes(chunk):
                sink.sendall(chunk)
        _shut(source, sink)

    def _ask(self, chunk: bytes) -> bool:
        self._proxy.wait()
        self._condemned |= self._proxy.condemns(chunk)
        return True

    def _answer(self, chunk: bytes) -> bool:
        if self._condemned:
            self._proxy.dropped += 1
            return False
        self._proxy.late()
        return True


def _shut(*sockets: socket.socket) -> None:
    """End them in both directions, also under those who wait in recv or accept."""
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
