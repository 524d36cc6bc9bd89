"""Parameters as an address or a posted form has them: `a=1&b=2` becomes text. Pure.

Strict where the standard parser guesses: what is no valid escape or no UTF-8 is refused, for no encoder
writes it. Source: https://url.spec.whatwg.org/#urlencoded-parsing
"""

import re
from binascii import a2b_qp
from operator import methodcaller
from urllib.parse import unquote_to_bytes

from tracker.hit import BadHit

MAX_FIELDS = 50  # parameters of one request
BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# Between pairs a NUL, between name and value \1, and escapes as quoted-printable has them. Ends of lines,
# which mean something there, become a NUL too many.
MARKS = bytes.maketrans(b"&=+%\r\n", b"\0\1 =\0\0")

_halves = methodcaller("split", "\1")


def parse_form(raw: bytes) -> dict[str, str]:
    """Name -> value; of a repeated name the first counts. Raises BadHit."""
    return usual(raw) or careful(raw)


def usual(raw: bytes) -> dict[str, str]:
    """The same in half the time; empty where something is unusual, be it right or wrong.

    The standard library has no quicker way to undo escapes than quoted-printable's, which is written in C
    and leaves what is broken as it is: each escape that is none leaves the text longer.
    """
    marked = raw.translate(MARKS)
    plain = a2b_qp(marked)
    if len(marked) - len(plain) != 2 * raw.count(b"%"):
        return {}
    try:
        pairs = plain.decode().split("\0")
        found = dict(map(_halves, pairs))
    except ValueError:  # no UTF-8, or a pair with no or several \1
        return {}
    number = len(pairs)
    is_usual = number == len(found) == raw.count(b"=") == raw.count(b"&") + 1 and number <= MAX_FIELDS
    return found if is_usual else {}


def careful(raw: bytes) -> dict[str, str]:
    """What parse_form gives, step by step. Raises BadHit."""
    if BROKEN_ESCAPE.search(raw):
        raise BadHit("broken percent escape", "% must be followed by two hexadecimal digits")
    pairs = raw.split(b"&", MAX_FIELDS)
    if len(pairs) > MAX_FIELDS:
        raise BadHit("too many parameters", f"at most {MAX_FIELDS}")
    found: dict[str, str] = {}
    try:
        for pair in pairs:
            name, _, value = pair.partition(b"=")
            found.setdefault(_unescape(name), _unescape(value))
    except UnicodeDecodeError:
        raise BadHit("not UTF-8", "parameters are UTF-8, percent-encoded") from None
    return found


def _unescape(value: bytes) -> str:
    text = unquote_to_bytes(value.replace(b"+", b" ")).decode()
    if "\0" in text:
        raise BadHit("control character", "a parameter holds a NUL byte")
    return text
