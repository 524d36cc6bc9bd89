"""A log on its way into the raw log of a site: each line once, whatever ends in between."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from redis import RedisError

from tracker.log_file import UNREADABLE, BadLog, LogFile
from tracker.log_lines import Batch, Lines, Place
from tracker.log_reader import LogReader, Tally
from tracker.raw import Moved, RawLog

LOG_SEEN = 400 * 86_400  # seconds the place in a log is remembered: longer than logs are kept
PATIENCE = 10.0  # seconds an import goes on trying to reach Redis
ALIKE = 8  # logs with the same first line that are known; servers may all begin with one health check
REST = 0.3  # seconds for which another process that imports the same log is left to itself


class Interrupted(RuntimeError):
    """An import ended before the end of its log; the message says why."""


class LogImport:
    """One log. `step` stores batch after batch together with the place in the log."""

    def __init__(self, raw: RawLog, log: LogFile, reader: LogReader) -> None:
        self.log = log
        self.tally = Tally()
        self.is_new = False  # in the place of another, or truncated: only its inode tells what is known
        self._raw = raw
        self._reader = reader
        self._names: list[str] = []
        self._before = ""  # what Redis has under the first name
        self._lines: Lines | None = None
        self._batch: Batch | None = None  # read, but not stored yet

    def step(self) -> bool:
        """Store the next batch; False where no whole line is left, for now or for ever.

        Raises RedisError, after which it can be called again, Moved where another process was
        faster, after which it goes on behind that, and BadLog.
        """
        try:
            self._batch = self._batch or self._next()
        except UNREADABLE as error:
            raise BadLog(f"{self.log.path} cannot be read to its end: {error}") from None
        if self._batch is None:
            return False
        self._store(self._batch)
        return True

    def _next(self) -> Batch | None:
        self._lines = self._lines or self._begin()
        if self._lines is None:
            return None
        found = self._lines.batch() or (None if self.log.grows else self._lines.rest())
        self.tally.unfinished = found is None and self._lines.unfinished
        return found

    def _store(self, batch: Batch) -> None:
        hits, tally = self._reader.read(batch.lines, datetime.now(UTC))
        step = (self._before, str(batch.end))
        try:
            stored = self._raw.append_after(self._reader.site, hits, self._names, step, LOG_SEEN)
        except Moved:
            self.rewind()
            raise
        if hits and not stored:  # another process, or an answer that was lost: it is there
            tally = Tally(known=len(batch.lines))
        self.tally.add(tally)
        self._before = str(batch.end)
        self._batch = None

    def is_begun(self) -> bool:
        """Whether lines of this log have been stored, be it under another name or compressed since."""
        try:
            names = self.log.names() or [self.log.inode]  # truncated, and nothing came since
        except UNREADABLE:
            return False
        return any(name and self._raw.position(self._reader.site, name) for name in names)

    def was_cut(self) -> bool:
        """Whether the log does not hold any more what has been read of it: truncated in place."""
        if self._lines is None or self._batch is not None:
            return False
        return not self.log.holds(self._lines.place, self._lines.offset)

    def begin_anew(self) -> None:
        """Take what was truncated in place from its beginning, even where it reads like before."""
        if self._lines is not None:
            step = (str(self._lines.place), str(Place()))
            with suppress(Moved):  # another process has seen it, too
                self._raw.append_after(self._reader.site, [], [self.log.inode], step, LOG_SEEN)
        self.is_new = True
        self.rewind()

    def rewind(self) -> None:
        """Ask Redis anew where to go on."""
        self._lines = self._batch = None

    def _begin(self) -> Lines | None:
        """The lines from where the log was left; None where it has nothing new."""
        names = self.log.names()
        if not names:
            self.tally.unfinished = self.log.size() > 0
            return None
        lines = self._resumed(*names)
        self.tally.known = max(0, lines.place.lines - self.tally.lines)
        return lines

    def _resumed(self, line: str, inode: str = "") -> Lines:
        """From where the log was left under one of its names; those are kept from now on."""
        found = self._positions(line, inode)
        alike = self._alike(line, found)
        known = {} if self.is_new else dict(alike)  # new, it may begin like the other, line for line
        if inode:
            known[inode] = found[inode]
        places = sorted(known, key=lambda name: Place.read(known[name]).offset, reverse=True)
        tried = ((name, Lines(self.log.stream, Place.read(known[name]))) for name in places if known[name])
        name, lines = next((pair for pair in tried if pair[1].place.offset and pair[1].there()), ("", None))
        free = next((other for other, position in alike.items() if not position), line)
        same = (other for other, position in alike.items() if position and position == known.get(name))
        ours = [next(same, free), inode] if inode else [next(same, free)]
        self._names = ours[::-1] if self.is_new else ours
        self._before = {**alike, **known}[self._names[0]]
        return lines or Lines(self.log.stream)  # nothing is known of it, or it is another now

    def _positions(self, line: str, inode: str) -> dict[str, str]:
        """Of one moment, or another process that moves all names of a log would seem to be at two logs."""
        names = [*_names_alike(line), *([inode] if inode else [])]
        return self._raw.positions(self._reader.site, names)

    def _alike(self, line: str, positions: Mapping[str, str]) -> dict[str, str]:
        """Where the logs stand that begin with this line, by name; up to the first name that is free."""
        found: dict[str, str] = {}
        for name in _names_alike(line):
            found[name] = positions[name]
            if not found[name]:
                break
        return found


def _names_alike(line: str) -> list[str]:
    return [f"{line}-{place}" if place else line for place in range(ALIKE)]


def insist(step: Callable[[], bool]) -> bool:
    """What `step` returns, tried again while Redis is away or another process is at the same log.

    Raises Interrupted after PATIENCE seconds.
    """
    end, pause = time.monotonic() + PATIENCE, 0.05
    while True:
        try:
            return step()
        except Moved:
            end = time.monotonic() + PATIENCE
            time.sleep(REST)
        except RedisError as error:
            if time.monotonic() > end:
                raise Interrupted(
                    f"Redis takes no more hits ({error}). Import the same again: it goes on where it stopped."
                ) from None
            time.sleep(pause)
            pause = min(1.0, pause * 2)
