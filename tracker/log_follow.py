"""Following a log that is being written: rotation, truncation, restarts, and every line once."""

import logging
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import dropwhile
from pathlib import Path
from threading import Event
from typing import Protocol

from redis import RedisError

from tracker.log_file import BadLog, LogFile, inode
from tracker.raw import Moved

log = logging.getLogger(__name__)

POLL = 0.05  # seconds between two looks at a log that has nothing new
AWAY = 0.5  # seconds between two tries to reach Redis
LATE = 60.0  # seconds without a line after which a log rotated away is left; servers write on for a while
ROTATED = 10  # logs rotated away, the newest, that are looked at and kept open
SUFFIX = re.compile(r"[.-][0-9][0-9-]{0,20}(\.gz)?")  # logrotate's: .1, .2.gz, -20261121.gz


class Importing(Protocol):
    """One log on its way into Redis: LogImport and EdgeImport tell what each of these does."""

    log: LogFile
    is_new: bool

    def step(self) -> bool: ...
    def is_begun(self) -> bool: ...
    def was_cut(self) -> bool: ...
    def begin_anew(self) -> None: ...
    def rewind(self) -> None: ...


Open = Callable[[LogFile], Importing]


class Follower:
    """The lines of one path, whichever file has that name. `poll` takes what is there."""

    def __init__(self, path: Path, importing: Open) -> None:
        self._path = path
        self._importing = importing
        self._current: Importing | None = None
        self._before: list[tuple[Importing, float]] = []  # rotated away, and when they last had a line
        self._missing = False
        self._is_new = False  # the next file was seen to take the place of another
        self._looked = 0  # when the folder had changed at the last look, nanoseconds

    def poll(self) -> bool:
        """Store one batch; False where there is none just now. Raises RedisError and BadLog."""
        with suppress(Moved):  # another process was faster: once more, behind it
            if self._current is None:
                self._current = self._open()
            self._look_around()
            if self._finish_rotated():
                return True
            return self._current is not None and self._step(self._current)
        return True

    def close(self) -> None:
        """Close the files."""
        for one in [self._current, *(old for old, _ in self._before)]:
            if one is not None:
                one.log.close()

    def _step(self, current: Importing) -> bool:
        if current.was_cut():
            log.info("%s was truncated: on from its beginning", self._path)
            current.begin_anew()
        if current.step():
            return True
        if not self._is_at_path(current.log):
            if current.step():  # written between the look at the file and the look at its name
                return True
            log.info("%s was rotated: its rest first, then the new file", self._path)
            self._before.append((current, time.monotonic()))
            self._current = None
            self._is_new = True
            return True
        return False

    def _finish_rotated(self) -> bool:
        """Store a batch of the first log rotated away that has one; leave those that are finished."""
        now = time.monotonic()
        for place, (old, since) in enumerate(self._before):
            if _stepped(old):
                self._before[place] = (old, now)
                return True
            if old.log.grows and (now - since > LATE or len(self._before) > ROTATED):
                old.log.grows = False  # a last line without an end gets none any more
                return True
            if not old.log.grows:
                old.log.close()
                del self._before[place]
                return True
        return False

    def _open(self) -> Importing | None:
        try:
            opened = LogFile.open(self._path)
        except OSError as error:
            if not self._missing:
                log.info("%s cannot be read (%s): waiting for it", self._path, error.strerror)
            self._missing = True
            return None
        self._missing = False
        log.info("following %s", self._path)
        if not opened.grows:
            opened.close()
            raise BadLog(f"{self._path} is no plain file: hitwall import reads compressed and piped logs.")
        found = self._importing(opened)
        found.is_new = self._is_new
        return found

    def _is_at_path(self, opened: LogFile) -> bool:
        try:
            return inode(self._path.stat()) == opened.inode
        except OSError:
            return False

    def _look_around(self) -> None:
        """Where a file has come or gone: open what was rotated away since the last look."""
        with suppress(OSError):
            changed = self._path.parent.stat().st_mtime_ns
            if changed != self._looked:
                self._before += self._left_over()
                self._looked = changed

    def _left_over(self) -> list[tuple[Importing, float]]:
        """Logs rotated away that nobody has open, oldest first: those begun, and those after them.

        None where nothing is known of any: then the path's own file is the first of all.
        """
        found = [self._importing(opened) for opened in self._rotated()]
        open_now = {one.log.inode for one, _ in self._before} | {self._current and self._current.log.inode}
        taken: list[Importing] = []
        try:
            taken = list(dropwhile(lambda one: one.log.inode not in open_now and not one.is_begun(), found))
        finally:
            taken = [one for one in taken if one.log.inode not in open_now]
            for one in found:
                if one not in taken:
                    one.log.close()
        return [(one, time.monotonic()) for one in taken]

    def _rotated(self) -> list[LogFile]:
        name = self._path.name
        with suppress(OSError):
            near = [path for path in self._path.parent.iterdir() if path.name.startswith(name)]
            rotated = [path for path in near if SUFFIX.fullmatch(path.name[len(name) :])]
            newest = sorted(rotated, key=lambda path: path.stat().st_mtime)[-ROTATED:]
            return [LogFile.open(path) for path in newest]
        return []


def _stepped(old: Importing) -> bool:
    """Whether a log rotated away had a batch; one that cannot be read is left."""
    try:
        if old.was_cut():  # another log was copied over it
            old.is_new = False
            old.rewind()
        return old.step()
    except BadLog as bad:
        log.warning("%s", bad)
        old.log.grows = False
        return False


def follow(followers: Sequence[Follower], is_full: Callable[[], bool], stop: Event) -> None:
    """Store what these logs get until `stop` is set; nothing while the counter `is_full`.

    Outlives a Redis that goes away. Raises BadLog.
    """
    away = False
    try:
        while not stop.is_set():
            try:
                busy = not is_full() and sum(follower.poll() for follower in followers) > 0
                if away:
                    log.info("following goes on")
                away = False
            except RedisError as error:
                if not away:
                    log.warning("following waits for Redis: %s", error)
                busy, away = False, True
            if not busy:
                stop.wait(AWAY if away else POLL)
    finally:
        for follower in followers:
            follower.close()
