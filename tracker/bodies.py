"""The body of a post taken apart: the JSON of each hit, one after the other. Pure."""

import json
import re
from collections.abc import Iterator

from tracker.hit import BadHit

LINES = ("application/x-ndjson", "application/jsonl")
TYPES = ("application/json", *LINES)
LINE = re.compile(rb"[^ \t\r\n][^\n]*")  # but a blank one
BLANK = re.compile(r"[ \t\r\n]*")
# Where a value ends; what it is, msgspec says. Value for value, for a body may hold millions of them.
step = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode

Piece = tuple[int, bytes]  # line, or place in the array, from 1; the JSON


def pieces(body: bytes, content_type: str) -> Iterator[Piece]:
    """The hits of a body, as they stand in it; BadHit where the type or the whole is none of ours."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in TYPES:  # text/plain would let any page post with its visitor's browser
        raise BadHit("unknown Content-Type", f"send {' or '.join(TYPES)}", 415)
    return _lines(body) if kind in LINES else _values(body)


def _lines(body: bytes) -> Iterator[Piece]:
    line, end = 1, 0
    for found in LINE.finditer(body):
        line += body.count(b"\n", end, found.start())
        end = found.start()
        yield line, found[0]


def _values(body: bytes) -> Iterator[Piece]:
    """The object that a body is, or those of an array. Raises BadHit where it is neither."""
    try:
        text = body.decode()
        start = _skip(text, 0)
        if text[start : start + 1] == "[":
            yield from _items(text, start + 1)
        elif text[start : start + 1] == "{":
            end = step(text, start)[1]
            _expect(text, _skip(text, end) == len(text), end)
            yield 1, text[start:end].encode()
        else:
            raise BadHit("not JSON", "the body is neither an object nor an array")
    except RecursionError:
        raise BadHit("not JSON", "it is nested too deeply") from None
    except ValueError as wrong:
        if isinstance(wrong, BadHit):
            raise
        raise BadHit("not JSON", str(wrong)) from None


def _items(text: str, at: int) -> Iterator[Piece]:
    """The values of an array that begins before `at`, up to the end of the text."""
    at = _skip(text, at)
    closed = text[at : at + 1] == "]"
    place = 0
    while not closed:
        end = step(text, at)[1]
        place += 1
        yield place, text[at:end].encode()
        end = _skip(text, end)
        _expect(text, text[end : end + 1] in (",", "]"), end)
        closed = text[end] == "]"
        at = end if closed else _skip(text, end + 1)
    _expect(text, _skip(text, at + 1) == len(text), at + 1)


def _skip(text: str, at: int) -> int:
    """The place of the next that is no blank."""
    found = BLANK.match(text, at)
    return found.end() if found else at


def _expect(text: str, right: bool, at: int) -> None:
    if not right:
        raise json.JSONDecodeError("a value, a comma or the end is missing", text, at)
