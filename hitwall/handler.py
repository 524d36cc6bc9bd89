"""pywsgi's request handler, strict and lean: its own reading of headers, head and body in one write.

With pywsgi's own, email's parser and a second system call take half of the time of a hit.
"""

import errno
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from email.utils import formatdate
from functools import lru_cache
from socket import SHUT_RD
from typing import Any, BinaryIO

from gunicorn.workers.ggevent import PyWSGIHandler

from tracker.answers import GIF, PIXEL

MOST_BYTES = 32_768  # of all header lines of a request together
MOST_LINES = 100
IDLE = 30  # seconds in which a request has to come, or silent connections would fill the pool
BODY = 4  # times as long for the body: 8 MB come in two minutes at 70 kB/s
# No folded line, no blank before the colon, no control character. https://www.rfc-editor.org/rfc/rfc9112#section-5
LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*\r\n")
VANISHED = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)  # a peer that is gone is no fault of ours
# A target is a path or a whole address; CONNECT's is neither. https://www.rfc-editor.org/rfc/rfc9112#section-3
REQUEST = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} (/|https?://|\*)[^\x00-\x20\x7f]* HTTP/1\.[01]\r\n")
HOST = re.compile(r"[^\s/?#@\\<>\"]+")
MOST_BODY = 16 * 1024 * 1024  # bytes; the API takes half of it, and what is not read has to be read away
ONCE = {"CONTENT_LENGTH", "TRANSFER_ENCODING", "HOST"}  # two of them mean two things to two servers
REFUSALS = {
    "400": ("Bad Request", "malformed request"),
    "411": ("Length Required", "no length: send the body as a whole, with its Content-Length"),
    "413": ("Content Too Large", "body too large"),
    "414": ("URI Too Long", "url too long: a request line holds at most 8 kB"),
    "431": ("Request Header Fields Too Large", "headers too large: at most 32 kB in 100 lines"),
}


class Refused(ValueError):
    """A request that is understood and not taken; the message is one of REFUSALS."""


class RequestHeaders:
    """What pywsgi asks of a request's headers. Raises ValueError where it is none, or an ambiguous one."""

    status = ""  # pywsgi's own parser tells so of a bad header

    def __init__(self, lines: BinaryIO) -> None:
        self.pairs: list[tuple[str, str]] = []  # WSGI name and value, as they came
        self._values: dict[str, str] = {}
        left = MOST_BYTES
        while (line := lines.readline(left + 1)) != b"\r\n":
            left -= len(line)
            if left < 0 or len(self.pairs) >= MOST_LINES:
                raise Refused("431")
            found = LINE.fullmatch(line)
            if found is None:
                raise ValueError("malformed header line")
            self._add(_key(found[1]), found[2].decode("latin-1"))
        self._check_length()

    def _add(self, key: str, value: str) -> None:
        if key in ONCE and key in self._values:
            raise ValueError(f"{key} stands twice")
        self._values.setdefault(key, value)
        if key not in ("", "CONTENT_TYPE", "CONTENT_LENGTH"):
            self.pairs.append(("HTTP_" + key, value))

    def _check_length(self) -> None:
        """How long the body is has one answer, or the next request begins where it should not."""
        length, coding = self._values.get("CONTENT_LENGTH"), self._values.get("TRANSFER_ENCODING")
        if length is not None and (coding is not None or not re.fullmatch("[0-9]{1,15}", length)):
            raise ValueError("ambiguous length")
        if coding is not None and coding.lower() != "chunked":
            raise ValueError("unknown transfer coding")
        if coding is not None:
            raise Refused("411")  # where a chunk ends, servers have disagreed too often
        if length is not None and int(length) > MOST_BODY:
            raise Refused("413")

    def get(self, name: str, default: Any = None) -> Any:
        return self._values.get(name.upper().replace("-", "_"), default)

    getheader = get

    @property
    def typeheader(self) -> str | None:
        return self._values.get("CONTENT_TYPE")


@lru_cache(maxsize=1024)
def _key(name: bytes) -> str:
    """WSGI's name for a header; empty for one that would pass for another (`_` and `-` are one there)."""
    return "" if b"_" in name else name.decode().upper().replace("-", "_")


class Handler(PyWSGIHandler):  # type: ignore[misc]
    """Answers on one connection, request after request."""

    ignored_socket_errors = (*PyWSGIHandler.ignored_socket_errors, *VANISHED)
    stopping = False  # of all in this process: each connection gets one more answer
    headers: Any
    response_headers: Any
    provided_date: Any

    def MessageClass(self, lines: BinaryIO, _: int) -> RequestHeaders:
        return RequestHeaders(lines)

    def _headers(self) -> Iterable[tuple[str, str]]:
        return self.headers.pairs  # type: ignore[no-any-return]

    def read_request(self, raw_requestline: str) -> Any:
        """pywsgi itself takes any white space for a blank, and HTTP/0.9."""
        if not REQUEST.fullmatch(raw_requestline):
            raise ValueError("malformed request line")
        read = super().read_request(raw_requestline)
        host = self.headers.get("host", "" if self.request_version == "HTTP/1.1" else "-")
        if not HOST.fullmatch(host):
            raise ValueError("no host")
        return read

    def handle_one_request(self) -> Any:
        """What pywsgi refuses before the application sees it gets its reason as well."""
        WAITING[self] = time.monotonic()
        try:
            result = super().handle_one_request()
        finally:
            WAITING.pop(self, None)
            SENDING.pop(self, None)
        if isinstance(result, tuple) and result[0][:3] == "414":
            return "414", refusal("414")
        return result

    def handle_one_response(self) -> None:
        WAITING.pop(self, None)
        if self.content_length:
            self.socket.settimeout(IDLE)  # a body may never come
            SENDING[self] = time.monotonic()  # or a byte at a time
        super().handle_one_response()

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes]:
        """Its reason goes to the client alone: strangers do not write our log."""
        code = str(ex) if isinstance(ex, Refused) else "400"
        return code, refusal(code)

    def _write_with_headers(self, data: bytes) -> None:
        self.headers_sent = True
        self.finalize_headers()
        lines = [b"%b: %b" % pair for pair in self.response_headers]
        if data and self.response_use_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._sendall(b"\r\n".join([b"HTTP/1.1 " + self.status, *lines, b"", data]))

    def finalize_headers(self) -> None:
        if self.provided_date is None:
            self.provided_date = _date(int(time.time()))
            self.response_headers.append((b"Date", self.provided_date))
        if self.stopping:
            self.close_connection = True
            kept = [pair for pair in self.response_headers if pair[0] != b"Connection"]
            self.response_headers = [*kept, (b"Connection", b"close")]
        super().finalize_headers()

    def log_request(self) -> None:
        """Nothing: a line for each hit would cost more than storing it."""


# Connections without a whole request, and since when; oldest first. Bound: the worker's connections.
WAITING: dict[Handler, float] = {}
SENDING: dict[Handler, float] = {}  # the same of those whose head is there, and whose body may not be


def close_silent(now: float, seconds: float) -> None:
    """Close connections that have sent no whole head for so long, or no body for BODY times as long.

    A timer each would cost more. What came before is still read and answered.
    """
    for begun, most in ((WAITING, seconds), (SENDING, BODY * seconds)):
        for handler, since in list(begun.items()):
            if now - since < most:
                break
            with suppress(OSError):
                handler.socket.shutdown(SHUT_RD)


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def refusal(code: str) -> bytes:
    """A whole answer to a request that was not understood: the pixel and the reason, and no more."""
    phrase, why = REFUSALS[code]
    headers = [*PIXEL, ("X-Hitwall", why), ("Connection", "close")]
    lines = [f"HTTP/1.1 {code} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + GIF
