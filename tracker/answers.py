"""What the pixel door answers: the pixel whatever happens, and in a header why it was refused."""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

Headers = list[tuple[str, str]]
StartResponse = Callable[[str, Headers], Any]

# The smallest image a browser draws: 1 by 1, transparent, 43 bytes. https://www.w3.org/Graphics/GIF/spec-gif89a.txt
GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    b"!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
CROSS_ORIGIN: Headers = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "X-Hitwall, Retry-After"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
    ("X-Content-Type-Options", "nosniff"),
]
AWAY = 5  # seconds after which a hit may be sent again that could not be stored
NO_STORE: Headers = [("Cache-Control", "no-store"), *CROSS_ORIGIN]
PIXEL: Headers = [("Content-Type", "image/gif"), ("Content-Length", str(len(GIF))), *NO_STORE]
EMPTY: Headers = [("Content-Length", "0"), *NO_STORE]


@dataclass(frozen=True)
class Answer:
    """Status line, headers and body of a response."""

    line: str
    headers: Headers
    body: bytes = b""

    def wire(self, connection: str, second: int) -> bytes:
        """The response as it is sent at that epoch second; `connection`: what it says of it, or empty."""
        said = [*self.headers, ("Date", date(second)), *([("Connection", connection)] if connection else [])]
        lines = [f"HTTP/1.1 {self.line}", *(f"{name}: {value}" for name, value in said), "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


COUNTED = {"GET": Answer("200 OK", PIXEL, GIF), "POST": Answer("204 No Content", NO_STORE)}
PREFLIGHT = Answer(
    "204 No Content",
    [
        ("Access-Control-Allow-Methods", "GET, POST"),
        ("Access-Control-Allow-Headers", "*"),
        ("Access-Control-Max-Age", "86400"),
        *NO_STORE,
    ],
)


def refused(method: str, status: int, why: str, after: int = 0) -> Answer:
    """The pixel all the same, so that no page shows a broken image, and the reason in a header.

    `after`: seconds after which the same may be sent again, where it is not the store that is away.
    """
    said = [("X-Hitwall", why)]
    if after or status == 503:
        said.append(("Retry-After", str(after or AWAY)))
    if status == 405:
        said.append(("Allow", "GET, POST, OPTIONS"))
    line = f"{status} {HTTPStatus(status).phrase}"
    if method == "GET":
        return Answer(line, PIXEL + said, GIF)
    return Answer(line, EMPTY + said)


@lru_cache(maxsize=12)  # GET and POST, each with what is said of the connection, of two seconds
def counted(method: str, connection: str, second: int) -> bytes:
    """What is sent where a hit is stored: made once a second, for it is nearly every answer."""
    return COUNTED[method].wire(connection, second)


@lru_cache(maxsize=2)
def date(second: int) -> str:
    """Of an HTTP header, for an epoch second."""
    return formatdate(second, usegmt=True)
