"""Spool: batches on disk while their storage cannot take them. Knows nothing of who fills and empties it."""

import logging
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakSet

from tracker.seldom import Seldom
from tracker.spool_file import SpoolFile
from tracker.spool_record import record_of
from tracker.spooled import files, in_file_name
from tracker.storage import Batch

log = logging.getLogger(__name__)

MOST = 64 * 2**20  # bytes of all files of a name together, some 150,000 hits
COUNT = 1.0  # seconds between two counts of the bytes of other processes

_SPOOLS: "WeakSet[Spool]" = WeakSet()  # of this process


class Spool:
    """Batches of a name in a directory, which several processes share, each with a file of its own.

    A file is locked by its process; when that is gone, another takes it over, see `adopt`. One thread at
    a time may use it; under gevent, other greenlets run while a batch is written.
    """

    def __init__(self, directory: Path, name: str, most: int = MOST) -> None:
        """Touches no file."""
        self._directory = directory
        self._name = name
        self._most = most
        self._own: SpoolFile | None = None
        self._adopted: SpoolFile | None = None
        self._given: SpoolFile | None = None  # the one whose batch `oldest` gave
        self._others = 0  # bytes of the files of other processes
        self._counts_again = 0.0  # when to look at them again, monotonic
        self.is_left = False  # whether batches of this process were left in a file that cannot be read
        self._looks = False  # whether there may be files of processes that are gone
        self._seen: set[Path] = set()  # those looked at since `adopt`: some cannot be read, or were put off
        self._refused = Seldom(log, logging.WARNING, "%d batches did not go into the spool: %s")
        self._unread = Seldom(log, logging.WARNING, "%d bytes of the spool %s held no batch and are left out")
        self._failed = Seldom(log, logging.WARNING, "%d times a file of the spool could not be used: %s")
        _SPOOLS.add(self)

    @property
    def waiting(self) -> int:
        """Batches of this process that are not done."""
        return self._own.waiting if self._own else 0

    @property
    def size(self) -> int:
        """Bytes of all files of this name, of every process."""
        return sum(size for _, size, _ in files(self._directory, self._name))

    def append(self, *batches: Batch) -> bool:
        """Whether they are on the disk; False where that has no room or fails, and then nothing of them is.

        Raises TypeError, ValueError or OverflowError for a hit that JSON cannot hold.
        """
        records = b"".join(map(record_of, batches))
        if not self._has_room(len(records)):
            self._refused.add(len(batches), f"{self._directory} may hold {self._most} bytes")
            return False
        try:
            if self._own is None:
                self._own = self._new(batches[0].source)
            self._own.append(records, len(batches))
        except OSError as error:
            self._refused.add(len(batches), error)
            return False
        return True

    def adopt(self) -> None:
        """From now on what processes that are gone have left is given, too, until that is done."""
        self._looks = True
        self._seen.clear()

    def oldest(self) -> Batch | None:
        """The first batch that is not done, of this process, then of those that are gone."""
        found = self.several(1)
        return found[0] if found else None

    def several(self, most: int) -> list[Batch]:
        """The same, and those that follow it in its file, of so many hits together at most."""
        if self._own and (found := self._next_of(self._own, most)):
            return found
        if self._own and self._own.is_closed:
            self._own = None
        while self._looks:
            self._adopted = self._adopted or self._take_over()
            if self._adopted is None:
                self._looks = False
            elif found := self._next_of(self._adopted, most):
                return found
            else:
                self._seen.add(self._adopted.path)
                self._adopted.close()
                self._adopted = None
        return []

    def done(self) -> None:
        """The batch that `oldest` gave is stored; a file goes with its last batch."""
        self.settle([True])

    def settle(self, stored: Sequence[bool]) -> None:
        """Of the batches that `several` gave these are stored; the others come again after `again`.

        Until then those that follow are given: whoever puts off a batch puts off all that may not
        overtake it. A file of a process that is gone comes again with `adopt`.
        """
        given, self._given = self._given, None
        if given is None:
            return
        try:
            given.settle(stored)
            if given is self._own and not given.waiting:
                self._own = None
                given.remove()
        except OSError as error:
            self._failed.add(1, error)

    def again(self) -> None:
        """Begin with the first batch that is not done."""
        for file in (self._own, self._adopted):
            if file:
                file.again()

    def close(self) -> None:
        """Let go of the files; what is in them waits for the next process."""
        for file in (self._own, self._adopted):
            if file:
                file.close()
        self._own = self._adopted = self._given = None
        self._looks = False

    def _has_room(self, size: int) -> bool:
        """Others' files are looked at now and then: each look gives away the interpreter several times."""
        if time.monotonic() >= self._counts_again:
            self._counts_again = time.monotonic() + COUNT
            self._others = self.size - (self._own.size if self._own else 0)
        return self._others + (self._own.size if self._own else 0) + size <= self._most

    def _new(self, source: str) -> SpoolFile:
        path = self._directory / f"{in_file_name(self._name)}.{source}-{secrets.token_hex(4)}.spool"
        try:
            return SpoolFile.made(path)
        except FileNotFoundError:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return SpoolFile.made(path)

    def _next_of(self, file: SpoolFile, most: int) -> list[Batch]:
        """The next of the file; one that has none is deleted, one that cannot be read is left."""
        try:
            if found := file.several(most):
                self._given = file
                return found
            if file.holds_put_off:
                return []
            if file.unread:
                self._unread.add(file.unread, file.path)
            file.remove()
        except OSError as error:
            self._failed.add(1, error)
            self.is_left |= file is self._own
            file.close()
        return []

    def _take_over(self) -> SpoolFile | None:
        """The oldest file that nobody holds. Only one: how many there are has no bound."""
        for _, _, path in files(self._directory, self._name):
            try:
                if path not in self._seen and (file := SpoolFile.left(path)) is not None:
                    return file
            except OSError as error:
                self._failed.add(1, error)
        return None


def _forked() -> None:
    """A child has its parent's files open, and a file is locked as long as anybody has."""
    for spool in list(_SPOOLS):
        spool.close()


os.register_at_fork(after_in_child=_forked)
