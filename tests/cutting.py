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
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._server.getsockname()[1]}/0"

    def run(self) -> None:
        """Until `stop`; one connection at a time, and none any more after the break."""
        with suppress(OSError):
            while True:
                here = self._server.accept()[0]
                if self._left:
                    self._serve(here)
                here.close()

    def stop(self) -> None:
        self._left = 0
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self, here: socket.socket) -> None:
        with socket.create_connection(self._there) as there:
            asking = threading.Thread(target=self._ask, args=(here, there))
            asking.start()
            while self._left > 0 and (answer := there.recv(self._left)):
                self._left -= len(answer)
                here.sendall(answer)
            here.shutdown(socket.SHUT_RDWR)
            asking.join()

    def _ask(self, here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while asked := here.recv(65_536):
                there.sendall(asked)
            there.shutdown(socket.SHUT_WR)


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
