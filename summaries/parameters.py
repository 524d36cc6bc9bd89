"""Parameters of a question: the query of an address, read into the Struct that declares them."""

import difflib
import re
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec

from summaries.spans import BadQuestion

MOST = 30  # parameters of one request
LONGEST = 64  # characters of a name that is none of ours, as we repeat it

T = TypeVar("T", bound=msgspec.Struct)


def read(kind: type[T], query: bytes, path: Mapping[str, str]) -> T:
    """The parameters of a query and of the path, checked. Raises BadQuestion, which names the wrong one."""
    known = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    given = dict(path)
    for name, value in _pairs(query):
        if name not in known:
            raise BadQuestion(name[:LONGEST], _stranger(name, known))
        if name in given:
            raise BadQuestion(name, "is given twice")
        given[name] = value
    for name, value in given.items():
        if "\0" in value:
            raise BadQuestion(name, "holds a NUL character")
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as wrong:
        found = re.search(r"`\$\.(\w+)`|required field `(\w+)`", str(wrong))
        name = next(filter(None, found.groups())) if found else "?"
        raise BadQuestion(name, takes(known[name]) if name in given else "is missing") from None


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST)
    except UnicodeDecodeError:
        raise BadQuestion("query", "is not UTF-8; encode it with percent signs") from None
    except ValueError:
        raise BadQuestion("query", f"holds more than {MOST} parameters") from None


def _stranger(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"is no parameter here; {near[0]} is one"
    return f"is no parameter here; there are {', '.join(known) or 'none'}"


def takes(kind: object) -> str:
    """What a parameter of that type may be, to end a sentence."""
    found = msgspec.inspect.type_info(kind)
    if isinstance(found, msgspec.inspect.Metadata):
        if found.extra:
            return str(found.extra["says"])
        found = found.type
    match found:
        case msgspec.inspect.LiteralType(values=values):
            return f"is one of {', '.join(map(str, values))}"
        case msgspec.inspect.IntType(ge=low, le=high):
            return f"takes a whole number from {low} to {high}"
        case msgspec.inspect.StrType(max_length=most):
            return f"takes at most {most} characters"
        case msgspec.inspect.BoolType():
            return "is true or false"
    return "cannot be used as it is"
