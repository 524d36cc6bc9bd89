"""Parameters as an address or a posted form has them: `a=1&b=2` becomes text. Pure.

Strict where the standard parser guesses: what is no valid escape or no UTF-8 is refused, for no encoder
writes it. Source: https://url.spec.whatwg.org/#urlencoded-parsing
"""

import re
from binascii import a2b_qp
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import msgspec

from tracker.hit import BadHit

MAX_FIELDS = 50  # parameters of one request
REMEMBERED = 4096  # titles and the like whose text is remembered, for sites have few;
LONG = 512  # characters of all parameters together with which they are: 10 MB at most
BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Sent(msgspec.Struct, frozen=True, gc=False):
    """The parameters of a hit; empty where one is missing."""

    url: str = ""
    ref: str = ""
    t: str = ""
    v: str = ""
    e: str = ""
    s: str = ""
    w: str = ""
    b: str = ""


NAMES = Sent.__struct_fields__
# The address first, as the script has it, then the others in any order, each once: where one stands already,
# nothing (?!) matches it. No value is tried shorter (*+), so that what does not match is told in one pass.
OTHERS = "|".join(f"{name}=(?({n})(?!)|([^&]*+))" for n, name in enumerate(NAMES[1:], 2))
USUAL = re.compile(f"url=([^&]*+)(?:&(?:{OTHERS}))*")


def parse_form(raw: str) -> Sent:
    """The parameters in this text, whose characters are bytes as WSGI has them; of a repeated name the
    first counts. Raises BadHit.
    """
    return usual(raw) or chosen(careful(raw.encode("latin-1")))


def chosen(found: dict[str, str]) -> Sent:
    """Those of the parameters that a hit has."""
    return Sent(*[found.get(name, "") for name in NAMES])


def usual(raw: str) -> Sent | None:
    """The same in a third of the time; None where something is unusual, be it right or wrong."""
    if not raw.isascii() or "\0" in raw or "\r" in raw or "\n" in raw:
        return None
    found = USUAL.fullmatch(raw)
    if not found:
        return None
    url, ref, title, visitor, event, site, width, size = found.groups("")
    plain = visitor + site + width + size
    if "%" in plain or "+" in plain:
        return None
    read = _known if len(raw) <= LONG else _plain
    try:  # what is made of the address of a page is remembered elsewhere
        texts = _plain(url), ref and read(ref), title and read(title), visitor, event and read(event)
    except ValueError:
        return None
    return Sent(*texts, site, width, size)


def _plain(value: str) -> str:
    """Without its escapes. Raises ValueError where that is not as simple as it looks.

    The standard library has no quicker way to undo escapes than quoted-printable's, which is written in C
    and leaves what is broken as it is: each escape that is none leaves the text longer. There `=` is what
    `%` is here, and an end of line means something.
    """
    if "=" in value:
        raise ValueError(value)
    text = a2b_qp(value.replace("+", " ").replace("%", "="))
    if len(value) - len(text) != 2 * value.count("%") or b"\0" in text:
        raise ValueError(value)
    return text.decode()


_known = lru_cache(maxsize=REMEMBERED)(_plain)


def careful(raw: bytes) -> dict[str, str]:
    """Name -> value of all parameters, step by step. Raises BadHit."""
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
