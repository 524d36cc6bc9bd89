"""Ordinary: pywsgi's way to answer a request, from a head that has been read strictly, in one write."""

import _socket
import errno
import time
from collections.abc import Callable, Iterable
from typing import Any

from gunicorn.workers.ggevent import PyWSGIHandler

from hitwall.head import Head
from tracker.answers import date

VANISHED = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)  # a peer that is gone is no fault of ours
HANDED_OVER = "hitwall.handed_over"  # in the environment: None, or what a view wants called with the socket


class Headers:
    """What pywsgi asks of a request's headers."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.typeheader = fields.pop("CONTENT_TYPE", None)
        self._length = fields.pop("CONTENT_LENGTH", None)
        self.fields = fields

    def get(self, name: str, default: str = "") -> str:
        return self.fields.get("HTTP_" + name.upper(), default)

    def getheader(self, _: str) -> str | None:
        """Of `content-length`, the only one it wants."""
        return self._length


class Ordinary(PyWSGIHandler):  # type: ignore[misc]
    """Answers a request through WSGI."""

    ignored_socket_errors = (*PyWSGIHandler.ignored_socket_errors, *VANISHED)
    stopping = False  # of all in this process: each connection gets one more answer
    taker: Callable[[_socket.socket, Any], None] | None = None  # who goes on with the connection
    headers: Any
    response_headers: Any
    provided_date: Any

    def answer(self, head: Head) -> None:
        """`command`, `request_version` and `close_connection` are the head's already."""
        self.headers, self.path, self.content_length = Headers(head.fields), head.target, head.length
        self.environ = self.get_environ() | {HANDED_OVER: None}
        self.application = self.server.application
        self.handle_one_response()
        if self.wsgi_input.position < head.length:  # its rest may still come, and is no request
            self.close_connection = True
        if self.taker is not None:
            taken = _socket.socket(fileno=self.socket.detach())
            taken.setblocking(False)
            self.close_connection = True
            self.taker(taken, self.client_address)

    def _headers(self) -> Iterable[tuple[str, str]]:
        return self.headers.fields.items()  # type: ignore[no-any-return]

    def _connection_upgrade_requested(self) -> bool:
        """Never: pywsgi would give the view the bare connection, and then read the body a second time."""
        return False

    def process_result(self) -> None:
        super().process_result()
        if self.code == 200 and self.command == "GET":
            self.taker = self.environ[HANDED_OVER]

    def finalize_headers(self) -> None:
        if self.provided_date is None:
            self.provided_date = date(int(time.time())).encode()
            self.response_headers.append((b"Date", self.provided_date))
        if self.environ[HANDED_OVER] is not None:
            self._leave_out(b"Content-Length")
            self.provided_content_length = "all that comes"
            self.close_connection = True
        if self.close_connection or self.stopping:
            self.close_connection = True
            self._leave_out(b"Connection")
            self.response_headers.append((b"Connection", b"close"))
        super().finalize_headers()

    def _leave_out(self, name: bytes) -> None:
        self.response_headers = [pair for pair in self.response_headers if pair[0] != name]

    def _write_with_headers(self, data: bytes) -> None:
        self.headers_sent = True
        self.finalize_headers()
        if self.command == "HEAD":  # a body, its end in chunks too, would be read as the next answer
            data, self.response_use_chunked = b"", False
        lines = [b"%b: %b" % pair for pair in self.response_headers]
        if data and self.response_use_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._sendall(b"\r\n".join([b"HTTP/1.1 " + self.status, *lines, b"", data]))

    def _write(self, data: bytes) -> None:
        if self.command != "HEAD":
            super()._write(data)

    def log_request(self) -> None:
        """Nothing: a line for each hit would cost more than storing it."""
