"""The head of a request, read strictly: what two servers could read differently is refused."""

import re
import time
from dataclasses import dataclass
from functools import lru_cache

from tracker.answers import GIF, PIXEL, Answer

END = b"\r\n\r\n"  # of a head
MOST_LINE = 8_192  # bytes of the request line; one of so many is too long
MOST_BYTES = 32_768  # of all header lines of a request together
MOST_LINES = 100
MOST_BODY = 16 * 1024 * 1024  # bytes; the API takes half of it, and what is not read has to be read away
MOST_HOST = 300  # characters; a name has 253
CACHED = 1024  # names of headers, and hosts, that are known to be right
CONTROLS = bytes([*range(9), *range(10, 32), 127])  # all but the tab, which only a header may hold
VERSIONS = {"HTTP/1.1", "HTTP/1.0"}
METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
# A target is a path or a whole address; CONNECT's is neither. https://www.rfc-editor.org/rfc/rfc9112#section-3
TARGET = re.compile(r"/|https?://|\*")
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
HOST = re.compile(r"[^\s/?#@\\<>\"]+")
LENGTH = re.compile(r"[0-9]{1,15}")
ONCE = {"CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_HOST"}  # two of them mean two things to two servers
REFUSALS = {
    "400": ("Bad Request", "malformed request"),
    "411": ("Length Required", "no length: send the body as a whole, with its Content-Length"),
    "413": ("Content Too Large", "body too large"),
    "414": ("URI Too Long", "url too long: a request line holds at most 8 kB"),
    "431": ("Request Header Fields Too Large", "headers too large: at most 32 kB in 100 lines"),
}


class Refused(ValueError):
    """A request that is understood and not taken; the message is one of REFUSALS."""


@dataclass(slots=True)
class Head:
    """A request without its body."""

    method: str
    target: str
    version: str  # HTTP/1.1 or HTTP/1.0
    fields: dict[str, str]  # of the headers, as WSGI names and joins them
    length: int  # bytes of the body
    closes: bool  # whether the connection ends with the answer
    size: int  # bytes of the head itself


def read(text: bytes) -> Head:
    """A whole head without the blank line at its end. Raises Refused, or ValueError where it is none."""
    method, target, version, fields = _parts(text)
    host = fields.get("HTTP_HOST", "-" if version == "HTTP/1.0" else "")
    if len(host) > MOST_HOST or not _is_host(host):
        raise ValueError("no host")
    length = 0
    if "CONTENT_LENGTH" in fields or "HTTP_TRANSFER_ENCODING" in fields:
        length = _length(fields)
        if length and method == "HEAD":
            raise ValueError("a body where none belongs")
    closes = _closes(version, fields.get("HTTP_CONNECTION", ""))
    return Head(method, target, version, fields, length, closes, len(text))


def check_begun(text: bytes, has_line: bool) -> None:
    """The same of what has come of a head so far: nobody waits for the rest of one that is wrong already.

    `has_line`: whether another line of it has ended just now.
    """
    first = text.find(b"\n") + 1
    if (first or len(text)) >= MOST_LINE:
        raise Refused("414")
    if first and len(text) - first > MOST_BYTES:
        raise Refused("431")
    if has_line:
        last = text.rfind(b"\n") - 1
        if text[last : last + 1] != b"\r":  # -1 where the text is but an LF: it is no CR either
            raise ValueError("a line ends in LF alone")
        _parts(text[:last])


def _parts(text: bytes) -> tuple[str, str, str, dict[str, str]]:
    """Method, target, version, headers."""
    line, *lines = text.decode("latin-1").split("\r\n")
    if len(line) > MOST_LINE - 3:
        raise Refused("414")
    if len(lines) > MOST_LINES or len(text) - len(line) > MOST_BYTES:
        raise Refused("431")
    if len(text.translate(None, CONTROLS)) != len(text) - 2 * len(lines):
        raise ValueError("a control character")
    method, target, version = line.split(" ")  # ValueError where there are more blanks
    if version not in VERSIONS or "\t" in line or not TARGET.match(target) or not _is_method(method):
        raise ValueError("malformed request line")
    fields: dict[str, str] = {}
    for each in lines:
        name, value = each.split(":", 1)  # ValueError where there is none
        key = KEYS[name]
        value = value.strip(" \t")
        fields[key] = value if key not in fields else _joined(key, fields[key], value)
    fields.pop("", None)
    return method, target, version, fields


class Keys(dict[str, str]):
    """WSGI's name for a header; empty for one that would pass for another (`_` and `-` are one there)."""

    def __missing__(self, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError("malformed name of a header")  # a blank before the colon, or a folded line, too
        key = "" if "_" in name else name.upper().replace("-", "_")
        if key not in ("", "CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        if len(self) >= CACHED:
            self.clear()
        self[name] = key
        return key


KEYS = Keys()


@lru_cache(maxsize=64)
def _is_method(method: str) -> bool:
    return METHOD.fullmatch(method) is not None


def _joined(key: str, first: str, second: str) -> str:
    if key in ONCE:
        raise ValueError(f"{key} stands twice")
    if key == "CONTENT_TYPE":
        return first
    return f"{first}; {second}" if key == "HTTP_COOKIE" else f"{first},{second}"


@lru_cache(maxsize=CACHED)
def _is_host(host: str) -> bool:
    return HOST.fullmatch(host) is not None


def _length(fields: dict[str, str]) -> int:
    """How long the body is has one answer, or the next request begins where it should not."""
    length, coding = fields.get("CONTENT_LENGTH"), fields.get("HTTP_TRANSFER_ENCODING")
    if length is not None and (coding is not None or not LENGTH.fullmatch(length)):
        raise ValueError("ambiguous length")
    if coding is not None and coding.lower() != "chunked":
        raise ValueError("unknown transfer coding")
    if length is None:
        raise Refused("411")  # where a chunk ends, servers have disagreed too often
    if int(length) > MOST_BODY:
        raise Refused("413")
    return int(length)


@lru_cache(maxsize=64)
def _closes(version: str, connection: str) -> bool:
    said = {option.strip() for option in connection.lower().split(",")}
    return "close" in said or (version == "HTTP/1.0" and "keep-alive" not in said)


def refusal(code: str) -> bytes:
    """A whole answer to a request that was not understood: the pixel and the reason, and no more."""
    phrase, why = REFUSALS[code]
    return Answer(f"{code} {phrase}", [*PIXEL, ("X-Hitwall", why)], GIF).wire("close", int(time.time()))
