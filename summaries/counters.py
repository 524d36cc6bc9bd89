"""Counters: the hashes in Redis. Apply a batch exactly once, read them together with their cursor."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgpack
from redis import Redis

from summaries.announcement import FOREIGN, Announcement, announcement
from summaries.buckets import Calendar
from summaries.fold import Share, Sums, shares
from summaries.tally import OTHER, SHOWN, Tally
from summaries.tops import Tops, Wanted
from tracker import keys
from tracker.foreign import undisturbed
from tracker.raw import START, order

WIDEST = 12  # runs; a batch that spreads over more hours is announced without its numbers
ACTIVE = timedelta(minutes=15)  # how long a minute's visitors are kept
FAILED = 40 * 86_400  # seconds that a day's account of failing hooks is kept
EPOCH = datetime.fromtimestamp(0, UTC)
UNREADABLE = "(unreadable)"  # under which the day's account of failures has entries that are no hits
# Labels announced, of others only a top list's. Who the visitors are no wall shows, just how many.
ANNOUNCED = {"minute": 2000, "server": 10, "bot": 1000, "visitor": 0}


@dataclass(frozen=True)
class Batch:
    """The sums of the hits after the id `start` up to the id `end`, for summaries that stand at `start`."""

    site: str
    summaries: list[str]
    start: str
    end: str
    sums: Sums
    recent: str = "[]"  # JSON of the newest hits, for the walls
    fresh: int = 0  # hits of now among them, for the rate
    now: datetime = EPOCH  # what has expired by then is not counted any more


@dataclass(frozen=True)
class Packed:
    """A batch as Redis takes it: the keys of the call, and its MessagePack."""

    site: str
    keys: list[str]
    text: bytes


@dataclass
class Snapshot:
    """Cursors and tallies read at one moment."""

    cursors: dict[str, str]
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)


class LostCursor(RuntimeError):
    """Counters say that a summary has counted, but not up to where."""


class Counters:
    """The counters of all sites on one Redis. What is none of ours under their keys is set aside."""

    def __init__(self, redis: Redis, calendar: Calendar, max_labels: int) -> None:
        self._redis = redis
        self._calendar = calendar
        self._most = max_labels
        self._apply = redis.register_script(Path(__file__).with_name("apply.lua").read_text("utf-8"))
        self._tops = Tops(redis)

    def apply(self, batch: Batch) -> bool:
        """Count the batch and announce it; False where another counter has counted these hits.

        Raises LostCursor where nothing is counted by its cursors, but something by its counters.
        """
        return self.send(self.pack(batch))

    def pack(self, batch: Batch) -> Packed:
        """The batch as apply.lua takes it."""
        kinds = keys.cursor, keys.live, keys.raw, keys.trimmed
        places = Places([key(batch.site) for key in kinds])
        items = [item for share in shares(batch.sums.runs) for item in self._items(batch, share, places)]
        active = [
            [places.of(keys.active(batch.site, minute)), _expiry(minute), list(visitors)]
            for minute, visitors in batch.sums.active.items()
            if minute + ACTIVE > batch.now
        ]
        quiet = int(len(batch.sums.runs) > WIDEST)
        head = [batch.summaries, batch.start, batch.end, self._most]
        tail = [items, active, batch.fresh, batch.recent, quiet]
        return Packed(batch.site, places.keys, msgpack.packb(head + tail, use_bin_type=False))

    def send(self, packed: Packed) -> bool:
        """See `apply`."""
        names = packed.keys
        applied = self._ask(names, lambda: self._apply(keys=names, args=[packed.text]))
        if applied < 0:
            raise LostCursor(packed.site)
        return bool(applied)

    def _items(self, batch: Batch, share: Share, places: "Places") -> Iterable[list[Any]]:
        expiries = {bucket: self._calendar.expires(bucket) for bucket in share.buckets}
        alive = [(b, at or 0) for b, at in expiries.items() if at is None or at > batch.now.timestamp()]
        for name, tallies in share.sums.items():
            if tallies and alive:
                hits, sizes = zip(*tallies.values(), strict=True)
                spots = [_spot(places, batch.site, name, bucket, expiry) for bucket, expiry in alive]
                yield [name, ANNOUNCED.get(name, SHOWN), [*tallies, OTHER], hits, sizes, spots]

    def cursors(self, site: str) -> dict[str, str]:
        """Summary -> stream id that it has counted up to."""
        cursor = keys.cursor(site)
        found = self._ask([cursor], lambda: _cursors(cast(Any, self._redis.hgetall(cursor))))
        return cast(dict[str, str], found)

    def read(self, site: str, wanted: Wanted) -> Snapshot:
        """The wanted tallies and the cursors of the site, all of one moment."""
        names = [keys.counter(site, measure, *place) for place in wanted for measure in keys.MEASURES]

        def ask() -> Snapshot:
            cursors, tallies = self._tops.read(site, wanted)
            return Snapshot(_cursors(cursors), tallies)

        return cast(Snapshot, self._ask([keys.cursor(site), *names], ask))

    def note_failures(self, site: str, failures: Mapping[str, int], now: datetime) -> None:
        """Add to the day's account of hits that hooks failed on; it is for people, and not exact.

        UNREADABLE stands for entries that are no hits, and count nowhere.
        """
        account = keys.failed(site, now)

        def note() -> None:
            pipe = self._redis.pipeline()
            for name, hits in failures.items():
                pipe.hincrby(account, name, hits)
            pipe.expire(account, FAILED)
            pipe.execute()

        if failures:
            self._ask([account], note)

    def failures(self, site: str, now: datetime) -> dict[str, int]:
        """Summary -> hits of the day (UTC) that its hook failed on; and UNREADABLE, as above."""
        account = keys.failed(site, now)

        def ask() -> dict[str, int]:
            found = cast(dict[bytes, bytes], self._redis.hgetall(account))
            return {name.decode(errors="replace"): int(hits) for name, hits in sorted(found.items())}

        return cast(dict[str, int], self._ask([account], ask))

    def active(self, site: str, now: datetime, minutes: int = 5) -> int:
        """Visitors seen in this minute and those before, `minutes` in all; near to 1 % exact."""
        names = [keys.active(site, now - timedelta(minutes=n)) for n in range(minutes)]
        return cast(int, self._ask(names, lambda: self._redis.pfcount(*names)))

    def _ask(self, names: Iterable[str], ask: Callable[[], Any]) -> Any:
        return undisturbed(self._redis, names, ask)


class Places:
    """The keys of a script call, each once, and where they stand in KEYS."""

    def __init__(self, first: Iterable[str]) -> None:
        self._places = {key: place for place, key in enumerate(first, 1)}

    def of(self, key: str) -> int:
        return self._places.setdefault(key, len(self._places) + 1)

    @property
    def keys(self) -> list[str]:
        return list(self._places)


def _spot(places: Places, site: str, name: str, bucket: str, expiry: int) -> list[Any]:
    """Where a counter is: its bucket, the places of its two keys, and when they expire."""
    hits, size = (places.of(keys.counter(site, measure, name, bucket)) for measure in keys.MEASURES)
    return [bucket, hits, size, expiry]


def _cursors(found: Mapping[bytes, bytes]) -> dict[str, str]:
    """Raises ValueError where one is no stream id."""
    cursors = {name.decode(errors="replace"): cursor.decode() for name, cursor in found.items()}
    for cursor in cursors.values():
        order(cursor)
    return cursors


def _expiry(minute: datetime) -> int:
    return int((minute + ACTIVE).timestamp())


__all__ = ["FOREIGN", "START", "Announcement", "Batch", "Counters", "LostCursor", "Snapshot", "announcement"]
