"""RawEraser: finds and removes a person's hits in a raw log, so that no memory and no file holds them."""

import secrets
from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
from redis import Redis

from tracker import keys
from tracker.cluster import server_for
from tracker.hit import Hit
from tracker.person import Person
from tracker.raw import START, Entry, RawLog, decode

CHUNK = 500  # hits read, copied or removed at once; Redis serves nobody else for some 3 ms
LEFT = 86_400  # seconds after which a copy that nobody finishes goes by itself
FULL = 0.95  # of Redis's memory; a copy that would take more is not made
BEGUN = "0-1"  # id of the entry that says whose the copy is


class Overtaken(RuntimeError):
    """Another process has begun to remove hits from the same raw log; the message says what to do."""


@dataclass
class Traces:
    """Entries of a raw log that hold a trace of a person."""

    end: str = START  # id up to which was looked
    ids: list[str] = field(default_factory=list)  # no more than the log is long
    own: int = 0  # the person's own hits among them
    visitors: Counter[str] = field(default_factory=Counter)  # in whose name the own ones were sent


class Rest(RawLog):
    """The raw log as it will be without these entries."""

    def __init__(self, redis: Redis, gone: Container[str]) -> None:
        super().__init__(redis)
        self._gone = gone

    def after(self, site: str, cursor: str, limit: int, upto: str = "+") -> list[Entry]:
        found = super().after(site, cursor, limit, upto)
        return [(id, None if id in self._gone else hit) for id, hit in found]


class RawEraser:
    """The raw log of one site."""

    def __init__(self, redis: Redis, site: str) -> None:
        self._redis = redis
        self._site = site
        self._keys = [keys.raw(site), keys.rewrite(site)]
        self.name = secrets.token_hex(8)
        here = Path(__file__)
        self._remove = redis.register_script(here.with_name("remove.lua").read_text("utf-8"))
        self._rewrite = redis.register_script(here.with_name("rewrite.lua").read_text("utf-8"))

    def find(self, person: Person, found: Traces, told: Callable[[int], None]) -> None:
        """Look on where `found` ends, up to the newest hit; `told` hears how many hits were read."""
        raw, _ = self._keys
        while entries := cast(Any, self._redis.xrange(raw, f"({found.end}", count=CHUNK)):
            for id, fields in entries:
                text = b"\n".join(fields.values()).decode(errors="replace")
                if person.is_in(text):
                    _take(found, person, id.decode(), fields)
            found.end = entries[-1][0].decode()
            told(len(entries))

    def is_begun(self) -> bool:
        """Whether somebody was ended before all was removed that should be."""
        return bool(self._redis.exists(self._keys[1]))

    def begin(self) -> None:
        """From now on the others that are at it are Overtaken: what they have left, we do.

        A recount that somebody has begun before is void: it has read what is to be removed.
        """
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.unlink(self._keys[1])
            pipe.xadd(self._keys[1], {"by": self.name}, id=BEGUN)
            pipe.expire(self._keys[1], LEFT)
            pipe.set(keys.forgotten(self._site), self.name, ex=LEFT)
            pipe.execute()

    def remove(self, ids: Sequence[str]) -> int:
        """How many went; those that are forgotten already do not count. Raises Overtaken."""
        gone = 0
        for first in range(0, len(ids), CHUNK):
            args = [self.name, *ids[first : first + CHUNK]]
            removed = cast(int, self._remove(keys=self._keys, args=args))
            _check(removed >= 0)
            gone += removed
        return gone

    def has_room(self) -> bool:
        """Whether Redis may hold the log twice for a moment."""
        info: Any = server_for(self._redis, self._keys[0]).info("memory")
        size = self._redis.memory_usage(self._keys[0]) or 0
        return not info.get("maxmemory") or info["used_memory"] + size < FULL * info["maxmemory"]

    def rewrite(self, told: Callable[[int], None]) -> None:
        """Put a copy in the place of the log, or memory holds what was removed. Raises Overtaken."""
        last = BEGUN
        while last:
            made = cast(bytes, self._rewrite(keys=self._keys, args=[self.name, last, CHUNK, LEFT]))
            last = made.decode()
            _check(last != "-")
            told(CHUNK)

    def leave(self) -> None:
        """No copy is made."""
        self._redis.unlink(self._keys[1])


def _take(found: Traces, person: Person, id: str, fields: dict[bytes, bytes]) -> None:
    found.ids.append(id)
    hit = _hit(fields)
    if hit and person.sent(hit):
        found.own += 1
        found.visitors.update([hit.visitor] if hit.visitor else [])


def _hit(fields: dict[bytes, bytes]) -> Hit | None:
    try:
        return decode(fields[b"hit"])
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _check(ours: bool) -> None:
    if not ours:
        raise Overtaken(
            "Another hitwall forget is at work in the same raw log: run this again when it has ended."
        )
