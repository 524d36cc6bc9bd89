"""The log of an edge on its way into the raw logs of its sites: each line once, whatever ends in between.

A position for the whole file, which moves when all sites of a batch have their hits, and one for each site in
it, which moves with them: who comes back to a batch that was stored in part stores the rest of it.

While Redis has a batch the next one is read, where enough waits; it is sent when Redis has taken the first.
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import cast

from redis import Redis

from tracker import keys
from tracker.backlog import Backlog
from tracker.edge_lines import EdgeReader, Lot
from tracker.foreign import undisturbed
from tracker.log_file import UNREADABLE, BadLog, LogFile, turn
from tracker.log_lines import Lines, Place
from tracker.raw import Moved, RawLog
from tracker.refused import count_refused

CHUNK = 786_432  # bytes that wait for no more: 1,000 lines
MOST = 2_097_152  # bytes read at once: so many lines keep Redis busy for 20 ms at most
SURE = 0.05  # seconds for which a position that was just moved is not asked for: Redis may be busy as long
GATHER = 0.05  # seconds for which fewer are left to grow: an append has its price
FILE_SEEN = 400 * 86_400  # seconds the place in a log is remembered: longer than logs are kept
SITE_SEEN = 7 * 86_400  # the same of a site in it; needed where a follower was killed between two sites
LATE = timedelta(seconds=10)  # a log that is further behind is cheaper than Redis: it waits for the counter


class EdgeImport:
    """One log. `step` stores batch after batch together with the place in the log."""

    is_new = False  # of no matter here: the first line of each log is its own, by the time and id in it

    def __init__(self, redis: Redis, raw: RawLog, log: LogFile, reader: EdgeReader) -> None:
        self.log = log
        self._redis = redis
        self._raw = raw
        self._reader = reader
        self._move = redis.register_script(Path(__file__).with_name("move.lua").read_text("utf-8"))
        self._name = ""
        self._place = Place()  # of the file, as Redis has it
        self._lines: Lines | None = None
        self._lot: tuple[Lot, Place] | None = None  # read, but not stored yet; and the place after it
        self._reached: dict[str, str] = {}  # site -> line up to which it has this log; bounded like the sites
        self._owed: dict[date, Counter[str]] = {}  # refusals that are not counted yet
        self._backlog: Backlog | None = None  # of the site with most of the last lines, where they were late
        self._next = 0.0  # when to read again, monotonic
        self._sure = 0.0  # until when the place needs no look, monotonic

    def step(self) -> bool:
        """Store the next batch; False where there is none, or none yet, or another process is at it.

        Raises RedisError, after which it can be called again, and BadLog.
        """
        if not self._is_due():
            return False
        with turn(self.log) as is_ours:
            if not is_ours or not self._find_place():
                return False
            try:
                return self._stored()
            except BaseException:  # what was read and is not stored is read again
                self.rewind()
                raise

    def is_begun(self) -> bool:
        """Whether lines of this log have been stored, be it compressed since."""
        try:
            name = self._named()
        except UNREADABLE:
            return False
        return bool(name and self._position(name))

    def was_cut(self) -> bool:
        """Whether the log does not hold any more what has been read of it: truncated in place."""
        return self._lines is not None and not self.log.holds(self._lines.place, self._lines.offset)

    def rewind(self) -> None:
        """Ask Redis anew where to go on."""
        self._name, self._lines, self._lot, self._reached = "", None, None, {}

    begin_anew = rewind  # what was truncated in place has another first line, and is another log

    def _is_due(self) -> bool:
        """Not while few lines have come since the last ones, and not while the counter is far behind."""
        if self._backlog is not None and self._backlog.is_full():
            return False
        if self._lot is not None or self._lines is None or not self.log.grows:
            return True
        waits = self.log.size() != self._lines.offset
        return self._waits_much() or (waits and time.monotonic() >= self._next)

    def _waits_much(self) -> bool:
        """Whether there is a whole batch behind what was read; of what is compressed nobody knows."""
        assert self._lines is not None
        return not self.log.grows or self.log.size() - self._lines.offset >= CHUNK

    def _find_place(self) -> bool:
        """Go where this log was left by whoever read it last; False while it has no line."""
        if self._lot is not None and time.monotonic() < self._sure:
            return True
        self._name = self._name or self._named()
        if not self._name:
            return False
        place = Place.read(self._position(self._name))
        if self._lines is None or place != self._place:
            self._lot, self._place = None, place
            self._lines = Lines(self.log.stream, place, MOST)
            if not self._lines.there():
                raise BadLog(f"{self.log.path} is not the log any more that was read before.")
        return True

    def _read(self) -> tuple[Lot, Place] | None:
        self._next = time.monotonic() + GATHER
        assert self._lines is not None
        first = self._lines.place.lines + 1
        try:
            batch = self._lines.batch() or (None if self.log.grows else self._lines.rest())
        except UNREADABLE as error:
            raise BadLog(f"{self.log.path} cannot be read to its end: {error}") from None
        return (self._reader.read(batch.lines, first, datetime.now(UTC)), batch.end) if batch else None

    def _stored(self) -> bool:
        """Store a batch; where a whole one waits behind it that is read meanwhile."""
        lot = self._lot or self._read()
        if lot is None:
            return False
        with ThreadPoolExecutor(1) as worker:
            storing = worker.submit(self._store, *lot)
            try:
                after = self._read() if self._waits_much() else None
            finally:
                storing.result()
        self._lot = after
        return True

    def _store(self, lot: Lot, end: Place) -> None:
        self._count_refused()
        for site in lot.hits:
            self._append(site, lot, end.lines)
        if self._moved(end):
            self._owed, self._sure = lot.refused, time.monotonic() + SURE
        self._place, self._lot = end, None
        self._backlog = self._behind(lot)
        self._count_refused()

    def _append(self, site: str, lot: Lot, end: int) -> None:
        """The hits of that site which it has not; others may be at it, too."""
        source = f"edge-{self._name}"
        while _number(before := self._reached_by(site, source)) < end:
            lines = lot.hits[site].after(_number(before))
            try:
                self._raw.append_lines(site, lines, [source], (before, str(end)), SITE_SEEN)
                self._reached[site] = str(end)
            except Moved:
                del self._reached[site]

    def _reached_by(self, site: str, source: str) -> str:
        if site not in self._reached:
            asked = [keys.seen(site, source)]
            self._reached[site] = undisturbed(self._redis, asked, lambda: self._raw.position(site, source))
        return self._reached[site]

    def _moved(self, end: Place) -> bool:
        """Whether the whole log is at its new place by this process."""
        key = keys.edge(self._name)
        places = ["" if place == Place() else str(place) for place in (self._place, end)]
        return bool(undisturbed(self._redis, [key], lambda: self._move([key], [*places, FILE_SEEN])))

    def _position(self, name: str) -> str:
        key = keys.edge(name)
        found = undisturbed(self._redis, [key], lambda: self._redis.get(key))
        return cast(bytes, found).decode() if found else ""

    def _named(self) -> str:
        """The digest of its first line; empty while that has no end."""
        names = self.log.names()
        return names[0].removeprefix("log-") if names else ""

    def _behind(self, lot: Lot) -> Backlog | None:
        site, taken = max(lot.hits.items(), key=lambda each: len(each[1].numbers), default=("", None))
        is_late = taken is not None and datetime.now(UTC) - taken.first > LATE
        return Backlog(self._redis, site) if is_late else None

    def _count_refused(self) -> None:
        for day in list(self._owed):
            count_refused(self._redis, self._owed[day], day)
            del self._owed[day]


def _number(position: str) -> int:
    return int(position) if position.isdecimal() else 0  # nothing else is written there by us
