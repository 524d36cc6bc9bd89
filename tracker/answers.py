"""What the pixel door answers: the pixel whatever happens, and in a header why it was refused."""

from collections.abc import Callable, Iterable
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
PREFLIGHT: Headers = [
    ("Access-Control-Allow-Methods", "GET, POST"),
    ("Access-Control-Allow-Headers", "*"),
    ("Access-Control-Max-Age", "86400"),
    *NO_STORE,
]


def accept(start: StartResponse, method: str) -> Iterable[bytes]:
    if method == "POST":
        start("204 No Content", NO_STORE)
        return []
    start("200 OK", PIXEL)
    return [GIF]


def refuse(start: StartResponse, method: str, status: int, why: str, after: int = 0) -> Iterable[bytes]:
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
        start(line, PIXEL + said)
        return [GIF]
    start(line, EMPTY + said)
    return []
