"""Numbers, sizes, ages and labels from outside as a terminal shows them. Pure."""

import re
import unicodedata
from datetime import datetime

from rich.text import Text

JOINERS = "\u200c\u200d"  # invisible, but scripts and emoji need them
FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u180e\u3164\uffa0"  # letters and marks that nobody sees
# Escapes, turns of direction, what a terminal does not know.
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
BLANKS = "Zs"
# Controls of eight bits, and turns of direction: https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
UNITS = ("B", "kB", "MB", "GB", "TB")
MOST_GROWN = 999  # percent; more says only that there was next to nothing before
AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))  # seconds


def clean(text: str) -> str:
    """What visitors sent, on one line, with everything made visible that is not."""
    if not text.isascii() or not text.isprintable():
        text = "".join(map(_shown, text))
    return text if text.strip(f" {JOINERS}") else "(empty)"


def _shown(char: str) -> str:
    kind = unicodedata.category(char)
    if kind == BLANKS:
        return " "
    return "\ufffd" if char in FILLERS or (kind in UNSEEN and char not in JOINERS) else char


def said(error: Exception) -> str:
    """Its message for a terminal: it may repeat what is in Redis, or what was typed."""
    return "\n".join(map(clean, str(error).splitlines()))


def inert(json: str) -> str:
    """The same JSON, with escapes for the characters that a terminal obeys and JSON lets stand."""
    return OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", json)


def label(text: str, style: str = "") -> Text:
    """The same for rich: never markup, cut with … where there is no room."""
    return Text(clean(text), style, no_wrap=True, overflow="ellipsis")


def cut(text: str, most: int) -> str:
    """The text in at most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def count(number: int) -> str:
    return f"{number:,}"


def many(number: int, what: str) -> str:
    """`1 hit`, `1,234 hits`."""
    return f"{count(number)} {what}{'' if number == 1 else 's'}"


def short(number: float) -> str:
    """Three digits at most and a unit: 950, 1.23k, 12.3k, 4M."""
    return _scaled(number, ("", "k", "M", "G", "T"), "")


def size(number: int) -> str:
    """Bytes: 512 B, 4.01 kB, 123 MB."""
    return _scaled(number, UNITS, " ")


def _scaled(number: float, units: tuple[str, ...], between: str) -> str:
    power = 0
    while number >= 999.5 and power < len(units) - 1:
        number /= 1000
        power += 1
    digits = 0 if power == 0 or number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{number:.{digits}f}{between}{units[power]}".strip()


def percent(part: float, whole: float) -> str:
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f} %"


def change(now: float, before: float) -> str:
    """`▲ 12 %`, `▼ 3 %` or `=`; empty where there was nothing before."""
    if not before:
        return ""
    grown = round(100 * (now - before) / before)
    if grown > MOST_GROWN:
        return f"▲ over {MOST_GROWN} %"
    return f"{'▲' if grown > 0 else '▼'} {abs(grown)} %" if grown else "="


def age(since: datetime, now: datetime) -> str:
    """`3 s`, `5 min`, `2 h`, `12 d`; nothing is younger than `0 s`."""
    seconds = max(0, int((now - since).total_seconds()))
    for length, unit in AGES:
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
