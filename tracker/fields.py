"""The fields of a hit as every door cleans them: how long a text may be, and what may stand in it."""

import re
from datetime import timedelta
from urllib.parse import unquote_to_bytes

from tracker.hit import MAX_PARAMS, cut

UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # what a terminal would obey, its eight-bit forms among them

# Bytes; what is longer is cut at a character's boundary.
SIZES = {"title": 512, "referrer": 2048, "agent": 512, "language": 256, "header": 512, "event": 128}
MAX_NUMBER = 2**32  # bytes of a page; the sums of a bucket stay below the 2^53 that Lua adds exactly
AHEAD = timedelta(days=1)  # a hit's own time may be later than now: clocks differ, and zones are mistaken


def text(value: str, name: str) -> str:
    """One line of valid UTF-8, no longer than that field may be."""
    if not value.isprintable():
        value = UNSEEN.sub(" ", value.encode(errors="replace").decode())
    return cut(value, SIZES[name])


def title(value: str) -> str:
    """As a browser shows it: runs of white space are one blank, and so is what a terminal would obey."""
    if not value.isprintable() or "  " in value or value[:1] == " " or value[-1:] == " ":
        value = " ".join(_seen(value).split())
    return cut(value, SIZES["title"])


def params(query: str) -> dict[str, str]:
    """The parameters of a page's query, for later questions; what cannot be read is replaced."""
    found: dict[str, str] = {}
    if not query:
        return found
    read = _lenient if "%" in query or "+" in query or not query.isprintable() else str
    for pair in query.split("&", MAX_PARAMS)[:MAX_PARAMS]:
        name, _, value = pair.partition("=")
        found.setdefault(read(name), read(value))
    return found


def printable(value: str) -> str:
    """The text with escapes such as \\x1b for all that a terminal would obey instead of show."""
    if value.isprintable():
        return value
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)


def _lenient(part: str) -> str:
    return _seen(unquote_to_bytes(part.replace("+", " ")).decode("utf-8", "replace"))


def _seen(value: str) -> str:
    return value if value.isprintable() else UNSEEN.sub(" ", value)
