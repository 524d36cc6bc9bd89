"""Viewer: the connection of one wall, once it has got its head."""

import _socket
from _socket import IPPROTO_TCP, socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent

from summaries.feed import Feed

READ, WRITE = 1, 2  # what a watcher of gevent's loop waits for
UNREAD = 16_384  # bytes taken at once from one who talks; nobody needs them


class Viewer:
    """Gets the newest message of its feed, whole, and then the next that is the newest.

    Bound: what the kernel has not taken of one message; the bytes are those that all share.
    """

    __slots__ = ("_chunked", "_rest", "_room", "_socket", "_talk", "feed", "seen", "since")

    def __init__(self, connection: socket, feed: Feed, chunked: bool) -> None:
        """The connection must not block; `chunked`: its head has promised chunks."""
        self.feed = feed
        self.seen: bytes | None = None  # the message that it has, or is getting
        self.since = 0.0  # monotonic time since which the kernel has not taken a whole one; 0 where it has
        self._socket = connection
        self._chunked = chunked
        self._rest: memoryview | None = None
        self._talk: Any = _watcher(connection, READ)
        self._room: Any = None

    def write(self) -> bool:
        """Send what is missing, as much as the kernel takes: is that all? Raises OSError of who has gone."""
        if self._rest is not None:
            self._rest = self._rest[self._put(self._rest) :]
            if self._rest:
                return False
            self._rest = None
        message = self.feed.chunk if self._chunked else self.feed.message
        if message is self.seen:
            return True
        sent = self._put(message)
        if sent == len(message):
            self.seen = message
            return True
        if sent:  # else it will be the newest then
            self.seen, self._rest = message, memoryview(message)[sent:]
        return False

    def _put(self, data: bytes | memoryview) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    def on_talk(self, call: Callable[["Viewer"], None]) -> None:
        """Call once, when something comes from the other end, its end mostly; the loop waits meanwhile."""
        self._talk.start(_once, self._talk, call, self)

    def on_room(self, call: Callable[["Viewer"], None]) -> None:
        """Call once, when the kernel takes more."""
        if self._room is None:
            self._room = _watcher(self._socket, WRITE)
            self._leave_to_us()
        self._room.start(_once, self._room, call, self)

    def _leave_to_us(self) -> None:
        """Who is behind is judged by Streams alone.

        Linux ends a connection after the same time whether its peer takes nothing or takes it in pieces
        smaller than what waits: seen at 16 kB/s after 14 s, at 8 kB/s behind a large buffer after 53 s.
        """
        with suppress(OSError, AttributeError):  # no TCP, or no Linux
            self._socket.setsockopt(IPPROTO_TCP, _socket.TCP_USER_TIMEOUT, 0)

    def is_gone(self) -> bool:
        """Whether the other end has ended it. What it says is not read; nor asked for again."""
        try:
            return not self._socket.recv(UNREAD)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Let go; what was sent arrives."""
        for watcher in (self._talk, self._room):
            if watcher is not None:
                watcher.close()
        with suppress(OSError):
            self._socket.recv(UNREAD)  # what is left unread would make an end a reset
        self._socket.close()

    @property
    def closed(self) -> bool:
        return self._socket.fileno() < 0


def _watcher(connection: socket, what: int) -> Any:
    return gevent.get_hub().loop.io(connection.fileno(), what)


def _once(watcher: Any, call: Callable[[Viewer], None], viewer: Viewer) -> None:
    """The loop would call as long as it is so."""
    watcher.stop()
    call(viewer)
