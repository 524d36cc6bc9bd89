"""RawLog: every hit, raw, in one Redis Stream per site. The truth that all else is a fold of."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from redis import Redis

from tracker import fields, keys
from tracker.append import Append, server_of
from tracker.entries import (
    START,
    Entry,
    decode,
    encode,
    encode_lines,
    milliseconds,
    oldest,
    order,
    read_entry,
    read_hit,
)
from tracker.foreign import undisturbed
from tracker.hit import SITE, Hit
from tracker.nodes import run

SEEN = 86_400  # seconds a source's last position is remembered; most try a batch again for seconds only

# A hit's own time is later than its arrival by no more: Redis's clock may be behind the doors'.
AHEAD = fields.AHEAD + timedelta(hours=1)
XRANGE = b"XRANGE"  # as bytes redis-py has no parser for it, and its took a third of the time to read hits


class Moved(RuntimeError):
    """A source stands at another position than its sender knows: somebody else has sent from it."""


class RawLog:
    """The raw logs of all sites on one Redis. Hits are appended when `replicas` of it have them, too."""

    def __init__(self, redis: Redis, replicas: int = 0) -> None:
        self._redis = redis
        self._append = Append(redis, replicas)
        self._trim = redis.register_script(Path(__file__).with_name("trim.lua").read_text("utf-8"))

    def append(self, site: str, hits: Sequence[Hit], source: str, position: int, keep: int = SEEN) -> int:
        """Append the batch; 0 where this source's position was appended before, else its length.

        The position is remembered for `keep` seconds.
        """
        return self.append_all(site, [(position, hits)], source, keep)

    def append_all(
        self, site: str, batches: Sequence[tuple[int, Sequence[Hit]]], source: str, keep: int
    ) -> int:
        """Append batches of a source, position and hits, in their order; those that are there are left out.

        How many hits were appended: however batches are put together, each is there once.
        """
        told = [(position, encode_lines(hits)) for position, hits in batches]
        return self._append(site, told, [source], [keep, "<"])

    def append_each(self, batches: Sequence[tuple[str, Sequence[Hit], str, int]], keep: int) -> list[bool]:
        """Append batches of different sites, see Append.each."""
        told = [(site, encode_lines(hits), source, at) for site, hits, source, at in batches]
        return self._append.each(told, keep)

    def append_after(
        self, site: str, hits: Sequence[Hit], names: Sequence[str], step: tuple[str, str], keep: int
    ) -> int:
        """Append what lies between two positions of a source, as in append; Moved if it stands elsewhere.

        The positions are words of the source's own, empty for its beginning; the first of its names
        tells where it stands, all of them are moved, and remembered for `keep` seconds.
        """
        return self.append_lines(site, encode_lines(hits), names, step, keep)

    def append_lines(
        self, site: str, lines: bytes, names: Sequence[str], step: tuple[str, str], keep: int
    ) -> int:
        """The same of hits as encode_lines has them."""
        before, after = step
        appended = self._append(site, [(after, lines)], names, [keep, before])
        if appended < 0:
            raise Moved(f"{names[0]} is not at {before or 'its beginning'} any more")
        return appended

    def position(self, site: str, name: str) -> str:
        """Where a source stands, empty where nothing is known of it."""
        found = cast(bytes | None, self._redis.get(keys.seen(site, name)))
        return found.decode() if found else ""

    def positions(self, site: str, names: Sequence[str]) -> dict[str, str]:
        """Where a source stands under each of these names, all of one moment."""
        found = cast(list[bytes | None], self._redis.mget([keys.seen(site, name) for name in names]))
        return {
            name: position.decode() if position else "" for name, position in zip(names, found, strict=True)
        }

    def server(self, site: str) -> str:
        """Which server has the site's log; empty where there is but one. Raises RedisError."""
        return server_of(self._redis, site)

    def sites(self) -> set[str]:
        """Every site seen; the canary's is none."""
        found = self._ask([keys.SITES], lambda: self._redis.smembers(keys.SITES))
        names = (name.decode(errors="replace") for name in found)
        return {name for name in names if SITE.fullmatch(name)}  # whatever else somebody has put there

    def has(self, site: str) -> bool:
        """Whether the site has been seen."""
        return bool(self._redis.sismember(keys.SITES, site))

    def after(self, site: str, cursor: str, limit: int, upto: str = "+") -> list[Entry]:
        """The oldest entries after the cursor, at most `limit`, none beyond the id `upto`."""
        return list(map(read_entry, self.unread(site, cursor, limit, upto)))

    def unread(self, site: str, cursor: str, limit: int, upto: str = "+") -> list[Any]:
        """The same as Redis sends them, for read_entry."""
        raw = keys.raw(site)
        asked = XRANGE, raw, f"({cursor}", upto, "COUNT", limit
        return cast(list[Any], self._ask([raw], lambda: run(self._redis, *asked)))

    def after_and_since(self, site: str, cursor: str, limit: int, upto: str) -> tuple[list[Entry], str]:
        """The same, and `whole_since` of that moment."""

        def ask() -> tuple[Any, str]:
            pipe = self._redis.pipeline(transaction=True)
            pipe.xrange(keys.raw(site), f"({cursor}", upto, count=limit)
            pipe.get(keys.trimmed(site))
            found, forgotten = pipe.execute()
            return found, _forgotten(forgotten)

        found, since = self._ask([keys.raw(site), keys.trimmed(site)], ask)
        return _entries(found), since

    def before(self, site: str, cursor: str, limit: int) -> list[Entry]:
        """The newest entries up to the cursor, newest first."""
        raw = keys.raw(site)
        return _entries(self._ask([raw], lambda: self._redis.xrevrange(raw, cursor, count=limit)))

    def newest(self, site: str, earliest: str, piece: int) -> Iterator[Entry]:
        """All entries from the newest down to that id, so many read at a time as they are asked for."""
        cursor = "+"
        while entries := _entries(self._redis.xrevrange(keys.raw(site), cursor, earliest, count=piece)):
            yield from entries
            cursor = f"({entries[-1][0]}"

    def between(self, site: str, start: datetime, end: datetime, limit: int) -> list[Entry]:
        """Entries that arrived from `start` up to but not at `end`, oldest first."""
        low, high = milliseconds(start), milliseconds(end)
        return _entries(self._redis.xrange(keys.raw(site), low, f"({high}-0", count=limit))

    def waiting(self, cursors: Mapping[str, str], timeout: float) -> set[str]:
        """Sites with an entry after their cursor; waits up to `timeout` seconds for the first."""
        streams: dict[Any, Any] = {keys.raw(site): cursor for site, cursor in cursors.items()}
        found: Any = self._redis.xread(streams, count=1, block=max(1, int(timeout * 1000)))
        pairs = found.items() if isinstance(found, dict) else found
        return {keys.site_of(name.decode()) for name, _ in pairs}

    def trim(self, site: str, old: str, most: int, cursor: str) -> int:
        """Forget hits before the id `old` and beyond the newest `most` (0: any number); how many went.

        None goes that lies after the cursor. A call drops a part of what is due: call it until none goes.
        """
        bounds: list[Any] = [oldest([old, cursor]), most, cursor]
        names = [keys.raw(site), keys.trimmed(site)]
        return cast(int, self._ask(names, lambda: self._trim(keys=names, args=bounds)))

    def whole_since(self, site: str) -> str:
        """The id of the last hit that was forgotten; START where the log holds all there ever were."""
        trimmed = keys.trimmed(site)
        return cast(str, self._ask([trimmed], lambda: _forgotten(self._redis.get(trimmed))))

    def length(self, site: str) -> int:
        """Hits in the log."""
        return cast(int, self._ask([keys.raw(site)], lambda: self._redis.xlen(keys.raw(site))))

    def _ask(self, names: Sequence[str], ask: Callable[[], Any]) -> Any:
        """What `ask` finds under these keys; what is none of ours is set aside."""
        return undisturbed(self._redis, names, ask)


def _entries(found: Any) -> list[Entry]:
    return [(name.decode(), read_hit(fields)) for name, fields in found]


def _forgotten(found: Any) -> str:
    """Raises ValueError where that is no id."""
    name = cast(bytes, found).decode() if found else START
    order(name)
    return name


__all__ = ["AHEAD", "SEEN", "START", "Entry", "Moved", "RawLog", "decode", "encode", "milliseconds"]
__all__ += ["oldest", "order", "read_entry", "read_hit"]
