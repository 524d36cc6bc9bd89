"""One name for one page: paths in one spelling, and the query parameters that make another page. Pure.

A path loses its final slash, `.` and `..` are resolved, and every character stands as itself where it
can be shown and is only a character: `/caf%c3%a9/` is `/café`, `%7E` is `~`. Escaped it stays, with
capital digits, where it would mean something (`/ ? # %`) or cannot be seen (blanks, controls, marks of
direction, bytes that are no UTF-8); standing raw such a one is escaped. What follows `#/` or `#!` is a
route of the page's own scripts: it keeps its slashes, dots and signs, and is spelled by the same rule.
Source: https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

CACHED = 4096  # paths whose label is remembered
LONG = 512  # characters; a longer path is not remembered
ROUTE = re.compile(r"(#[/!].*)", re.S)
ESCAPES = re.compile(r"((?:%[0-9A-Fa-f]{2})+)")
# Printable by their category, and yet nothing to see: https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def page(path: str) -> str:
    """The label of a path."""
    return _remembered(path) if len(path) <= LONG else canonical(path)


def page_with(path: str, names: tuple[str, ...], params: Mapping[str, str]) -> str:
    """The label of a path together with these parameters, in the order of `names`: `/index.php?p=12`."""
    kept = [f"{_shown(name, '#%&=+ ')}={_shown(params[name], '#%&=+ ')}" for name in names if name in params]
    label = page(path)
    if not kept:
        return label
    bare, mark, route = label.partition("#")
    return f"{bare}?{'&'.join(kept)}{mark}{route}"


def canonical(path: str) -> str:
    """The one spelling of a path; its own canonical."""
    bare, *route = ROUTE.split(path.encode(errors="replace").decode(), maxsplit=1)
    root, *names = _spelled(bare, "?#% ").split("/")
    spelled = "/".join([root, *_resolved(names)]).rstrip("/") or "/"
    return spelled + "".join(_spelled(part, "% ") for part in route)


@lru_cache(maxsize=CACHED)
def _remembered(path: str) -> str:
    return canonical(path)


def _resolved(names: list[str]) -> list[str]:
    """Without `.`, and without `..` and what it takes back."""
    kept: list[str] = []
    for name in names:
        if name == "..":
            del kept[-1:]
        elif name != ".":
            kept.append(name)
    return kept


def _spelled(text: str, escaped: str) -> str:
    """Escapes and characters as the rule has them; raw ones in `escaped` become escapes."""
    parts = ESCAPES.split(text)
    parts[::2] = [_shown(part, escaped) for part in parts[::2]]
    parts[1::2] = [_shown(_unescaped(part), "/?#% ") for part in parts[1::2]]
    return "".join(parts)


def _unescaped(run: str) -> str:
    """Bytes that are no UTF-8 become surrogates, which cannot be shown."""
    return unquote_to_bytes(run).decode(errors="surrogateescape")


def _shown(text: str, escaped: str) -> str:
    return "".join(
        c if c.isprintable() and c not in escaped and not UNSEEN.match(c) else _escape(c) for c in text
    )


def _escape(character: str) -> str:
    return quote_from_bytes(character.encode(errors="surrogateescape"), safe="")
