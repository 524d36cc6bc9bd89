"""A log on its way into the raw log of a site: each line once, whatever ends in between."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from redis import RedisError

from tracker.log_file import UNREADABLE, BadLog, LogFile
from tracker.log_lines import Batch, Lines, Place
from tracker.log_reader import LogReader, Tally
from tracker.raw import Moved, RawLog

LOG_SEEN = 400 * 86_400  # seconds the place in a log is remembered: longer than logs are kept
PATIENCE = 10.0  # seconds an import goes on trying to reach Redis
REST = 0.3  # seconds for which another process that imports the same log is left to itself


class Interrupted(RuntimeError):
    """An import ended before the end of its log; the message says why."""


class LogImport:
    """One log. `step` stores batch after batch together with the place in the log."""

    def __init__(self, raw: RawLog, log: LogFile, reader: LogReader) -> None:
        self.log = log
        self.tally = Tally()
        self.is_new = False  # it came in the place of another: only its inode tells whether it is known
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

    def rewind(self) -> None:
        """Ask Redis anew where to go on."""
        self._lines = self._batch = None

    def _begin(self) -> Lines | None:
        """The lines from where the log was left; None where it has nothing new."""
        self._names = self.log.names()[:: -1 if self.is_new else 1]
        if not self._names:
            self.tally.unfinished = self.log.size() > 0
            return None
        lines = self._resumed()
        self.tally.known = max(0, lines.place.lines - self.tally.lines)
        return lines

    def _resumed(self) -> Lines:
        known = [self._raw.position(self._reader.site, name) for name in self._names]
        self._before = known[0]
        if self.is_new:  # it may begin like the other, line for line
            del known[1:]
        places = sorted(map(Place.read, known), key=lambda place: place.offset, reverse=True)
        tried = (Lines(self.log.stream, place) for place in places if place.offset)
        found = next((lines for lines in tried if lines.there()), None)
        return found or Lines(self.log.stream)  # nothing is known of it, or it is another now


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
