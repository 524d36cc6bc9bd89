"""Formats of an answer: JSON whole, or its rows as CSV or NDJSON."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from werkzeug.datastructures import MIMEAccept

from summaries.turns import paused

MIMETYPES = {"json": "application/json", "csv": "text/csv", "ndjson": "application/x-ndjson"}
CONTENT_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8; header=present",
    "ndjson": "application/x-ndjson",
}
STRETCH = 250  # rows written before others of the process have their turn, up to some 5 ms
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run begins with one of these


class NotAcceptable(ValueError):
    """The request accepts none of our formats."""


def choose(wanted: str, accepted: MIMEAccept, formats: Sequence[str]) -> str:
    """The format that `?format=` names, else the best of those accepted; JSON where all are welcome."""
    if wanted:
        return wanted
    offered = {MIMETYPES[name]: name for name in formats}
    best = accepted.best_match(offered) if accepted else MIMETYPES["json"]
    if best is None:
        raise NotAcceptable(f"Accept takes none of what there is: {', '.join(offered)}.")
    return offered[best]


def ndjson(kind: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> str:
    """One JSON object a line."""
    return "".join(msgspec.json.encode(flat(kind, row)).decode() + "\n" for row in paused(rows, STRETCH))


def table(kind: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> str:
    """CSV with a header row, as RFC 4180 has it.

    Text that a spreadsheet would take for a formula begins with an apostrophe more. Source:
    https://owasp.org/www-community/attacks/CSV_Injection
    """
    file = io.StringIO()
    writer = csv.writer(file)
    columns = columns_of(kind)
    writer.writerow(columns)
    for row in paused(rows, STRETCH):
        cells = flat(kind, row)
        writer.writerow([_cell(cells.get(name)) for name in columns])
    return file.getvalue()


ENCODERS: dict[str, Callable[[type[msgspec.Struct], Iterable[msgspec.Struct]], str]] = {
    "csv": table,
    "ndjson": ndjson,
}


def columns_of(kind: type[msgspec.Struct]) -> list[str]:
    """The fields of a row; in place of one that is a Struct the fields of that."""
    return [name for _, names in _parts(kind) for name in names]


def flat(kind: type[msgspec.Struct], row: msgspec.Struct) -> dict[str, Any]:
    """Column -> value, in plain types; a hit's empty fields are left out."""
    values = msgspec.to_builtins(row)
    for field, names in _parts(kind):
        if names != [field]:
            values.update(values.pop(field))
    return dict(values)


def _parts(kind: type[msgspec.Struct]) -> Iterator[tuple[str, Sequence[str]]]:
    for field in msgspec.structs.fields(kind):
        inner = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
        yield field.name, list(field.type.__struct_fields__) if inner else [field.name]


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
