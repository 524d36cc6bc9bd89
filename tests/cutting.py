"""A line to Redis that breaks in the middle of an answer, and stays broken."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class Line:
    """Forwards to the Redis at `url` until it has answered so many bytes; the next one is lost."""

    def __init__(self, url: str, answered: int) -> None:
        self._there = (str(urlsplit(url).hostname), int(urlsplit(url).port or 0))
        self._left = answered
        self._answering = threading.Lock()  # one connection at a time, so that the bytes can be counted
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._server.getsockname()[1]}/0"

    def run(self) -> None:
        """Until `stop`; no connection any more after the break."""
        with suppress(OSError):
            while True:
                here = self._server.accept()[0]
                self._ends.append(here)
                if self._left:
                    self._connect(here)
                else:
                    here.close()
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()

    def stop(self) -> None:
        with self._answering:
            self._break()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _connect(self, here: socket.socket) -> None:
        there = socket.create_connection(self._there)
        self._ends.append(there)
        for way in (self._ask, self._answer):
            self._threads.append(threading.Thread(target=way, args=(here, there)))
            self._threads[-1].start()

    def _ask(self, here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while asked := here.recv(65_536):
                there.sendall(asked)
            there.shutdown(socket.SHUT_WR)

    def _answer(self, here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while answer := there.recv(65_536):
                with self._answering:
                    here.sendall(answer[: self._left])
                    self._left -= len(answer[: self._left])
                    if not self._left:
                        self._break()
            here.shutdown(socket.SHUT_RDWR)

    def _break(self) -> None:
        self._left = 0
        for end in self._ends:
            with suppress(OSError):  # it has ended by itself
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting(url: str, answered: int) -> Iterator[str]:
    """The address of a line that breaks after so many bytes of answers."""
    line = Line(url, answered)
    thread = threading.Thread(target=line.run)
    thread.start()
    try:
        yield line.url
    finally:
        line.stop()
        thread.join()
