"""Whole counters and raw logs as CSV, JSON or lines of JSON: pieces of text, written as they are read."""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from summaries.figures import RawHit, Row, Summary
from summaries.formats import ndjson, table

FORMATS = ("csv", "json", "ndjson")
BATCH = 500  # hits held in memory


def of_summary(found: Summary, kind: str) -> Iterator[str]:
    """As the API has it: the rows, or with `json` the whole answer."""
    if kind == "json":
        yield msgspec.json.encode(found).decode() + "\n"
    else:
        yield table(Row, found.labels) if kind == "csv" else ndjson(Row, found.labels)


def of_hits(hits: Iterable[RawHit], kind: str) -> Iterator[str]:
    """A row, a line or an element of one array for each hit."""
    header = table(RawHit, [])
    if kind == "csv":
        yield header
    first = True
    for batch in _batches(hits):
        if kind == "csv":
            yield table(RawHit, batch).removeprefix(header)
        elif kind == "ndjson":
            yield ndjson(RawHit, batch)
        else:
            lines = ndjson(RawHit, batch).rstrip("\n").replace("\n", ",\n")
            yield f"{'[' if first else ','}{lines}"
        first = False
    if kind == "json":
        yield "[]\n" if first else "]\n"


def _batches(hits: Iterable[RawHit]) -> Iterator[list[RawHit]]:
    rest = iter(hits)
    while batch := list(islice(rest, BATCH)):
        yield batch
