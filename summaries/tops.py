"""Tops: of several counters the labels with the most hits, and the cursors, all of one moment.

They are picked in Redis: a wall that opens would else be sent every label of a site, 100 ms for 100,000 of
them, in which its process serves nobody else.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgpack
from redis import Redis

from summaries.tally import Row, Tally
from tracker import keys

Place = tuple[str, str]  # summary, bucket
Wanted = Mapping[Place, int | None]  # labels of each: None for all, 0 to know only how many there are


class Tops:
    """top.lua on one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(Path(__file__).with_name("top.lua").read_text("utf-8"))

    def read(self, site: str, wanted: Wanted) -> tuple[dict[bytes, bytes], dict[Place, Tally]]:
        """The site's cursors, summary -> stream id, and the tallies; ValueError where one is no number."""
        names = [keys.counter(site, measure, *place) for place in wanted for measure in keys.MEASURES]
        most = [-1 if number is None else number for number in wanted.values()]
        packed = cast(bytes, self._script(keys=[keys.cursor(site), *names], args=most))
        cursors, *found = msgpack.unpackb(packed, raw=True)
        tallies = (_tally(number, told) for number, told in zip(wanted.values(), found, strict=True))
        pairs = zip(cursors[::2], cursors[1::2], strict=True)
        return dict(pairs), dict(zip(wanted, tallies, strict=True))


def _tally(most: int | None, told: list[Any]) -> Tally:
    labels, capped, rows = told
    tally = Tally(most, labels - capped, bool(capped))
    tally.update(_row(*rows[place : place + 3]) for place in range(0, len(rows), 3))
    return tally


def _row(label: bytes, hits: bytes, size: bytes) -> Row:
    return label.decode(errors="replace"), int(hits), int(size)
