"""A program's own values as a hit keeps them: names and texts, numbers, truth values. Pure."""

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

import msgspec

from tracker import fields

Scalar = str | int | float | bool | None

MOST = 50  # entries of one dict that are kept
NAME = 128  # characters of a name
TEXT = 512  # characters of a value
WHOLE = 2**53  # beyond it JSON's readers disagree about a whole number


def flat(values: Any) -> dict[str, Scalar]:
    """The first entries of a dict, each value a scalar or else its JSON text; of no dict, nothing."""
    if not values or not isinstance(values, Mapping):
        return {}
    return {line(name, NAME): _scalar(value) for name, value in islice(values.items(), MOST)}


def line(text: Any, most: int) -> str:
    """One line of valid UTF-8, at most that many characters."""
    value = text if type(text) is str else str.__str__(text) if isinstance(text, str) else str(text)
    value = value[:most]
    if not value.isprintable():
        value = fields.UNSEEN.sub(" ", value.encode(errors="replace").decode())
    return value


def _scalar(value: Any) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return line(value, TEXT)
    kind = type(value)
    if kind is int and -WHOLE <= value <= WHOLE:
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))  # JSON has no nan and no inf
    return line(_json(value), TEXT)


def _json(value: Any) -> str:
    """A JSON text; of what JSON has no form for, its own text."""
    try:
        text = msgspec.json.encode(value, enc_hook=str).decode()
        return str(msgspec.json.decode(text)) if text.startswith('"') else text
    except Exception:  # the host's own objects may raise anything when they are read
        return f"<{type(value).__name__}>"
