"""How many bytes of a response's body are sent. The body goes out as without us."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Response

WITHOUT_BODY = (204, 304)  # and 1xx; https://www.rfc-editor.org/rfc/rfc9110#section-6.4.1


def size(response: Response, method: str) -> int | None:
    """Bytes of the body where they are known before it is sent; None of a streamed one."""
    status = response.status_code
    if method == "HEAD" or status in WITHOUT_BODY or status < 200:
        return 0
    body = response.response
    if isinstance(body, list | tuple):
        return sum(map(_length, body))
    promised = response.headers.get("Content-Length", "")
    length = int(promised) if promised.isascii() and promised.isdigit() and len(promised) < 20 else None
    if response.direct_passthrough:  # a file, which the server may send by itself
        return length or 0
    return length if status >= 300 else None  # werkzeug's own pages are handed over as iterators


def _length(chunk: Any) -> int:
    return len(chunk.encode()) if isinstance(chunk, str) else len(chunk)


class Counted:
    """The chunks of a streamed body; `done(bytes)` is called when all have gone, and when it is closed."""

    def __init__(self, chunks: Iterable[Any], done: Callable[[int], None]) -> None:
        self._chunks = chunks
        self._done = done
        self._bytes = 0

    def __iter__(self) -> Iterator[Any]:
        for chunk in self._chunks:
            yield chunk
            self._bytes += _length(chunk)  # whoever comes for the next has sent this one
        self._done(self._bytes)

    def close(self) -> None:
        """What the host's own body does when the visitor has gone, then ours."""
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
        finally:
            self._done(self._bytes)
