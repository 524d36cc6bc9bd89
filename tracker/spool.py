"""Spool: batches on disk while their storage cannot take them. Knows nothing of who fills and empties it."""

import logging
import os
import secrets
import time
from collections.abc import Container
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote
from weakref import WeakSet

from tracker.seldom import Seldom
from tracker.spool_file import SpoolFile, record_of
from tracker.storage import Batch

log = logging.getLogger(__name__)

MOST = 64 * 2**20  # bytes of all files of a name together, some 150,000 hits
LONGEST = 150  # characters of a name in a file's, which has 255
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
        self._name = _in_file_name(name)
        self._most = most
        self._own: SpoolFile | None = None
        self._adopted: SpoolFile | None = None
        self._given: SpoolFile | None = None  # the one whose batch `oldest` gave
        self._others = 0  # bytes of the files of other processes
        self._counts_again = 0.0  # when to look at them again, monotonic
        self.is_left = False  # whether batches of this process were left in a file that cannot be read
        self._looks = False  # whether there may be files of processes that are gone
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
        return sum(size for _, size, _ in self._files())

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
        """From now on `oldest` gives what processes that are gone have left, too, until that is done."""
        self._looks = True

    def oldest(self) -> Batch | None:
        """The first batch that is not done, of this process, then of those that are gone."""
        if self._own and (batch := self._first(self._own)) is not None:
            return batch
        self._own = None
        seen: set[Path] = set()  # also those that cannot be read or deleted
        while self._looks:
            self._adopted = self._adopted or self._take_over(seen)
            if self._adopted is None:
                self._looks = False
            elif (batch := self._first(self._adopted)) is not None:
                return batch
            else:
                seen.add(self._adopted.path)
                self._adopted = None
        return None

    def done(self) -> None:
        """The batch that `oldest` gave is stored; a file goes with its last batch."""
        given, self._given = self._given, None
        if given is None:
            return
        try:
            given.done()
            if given is self._own and not given.waiting:
                self._own = None
                given.remove()
        except OSError as error:
            self._failed.add(1, error)

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
        path = self._directory / f"{self._name}.{source}-{secrets.token_hex(4)}.spool"
        try:
            return SpoolFile.made(path)
        except FileNotFoundError:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return SpoolFile.made(path)

    def _files(self) -> list[tuple[float, int, Path]]:
        """When written last, size and path of each, the oldest first."""
        found = []
        with suppress(OSError):  # there is none, or it may not be seen
            for entry in os.scandir(self._directory):
                if entry.name.startswith(f"{self._name}.") and entry.name.endswith(".spool"):
                    with suppress(OSError):  # gone: another process has done it
                        facts = entry.stat(follow_symlinks=False)
                        found.append((facts.st_mtime, facts.st_size, Path(entry.path)))
        return sorted(found)

    def _first(self, file: SpoolFile) -> Batch | None:
        """The first batch of the file. One that has none is deleted, one that cannot be read is left."""
        try:
            if (batch := file.first()) is not None:
                self._given = file
                return batch
            if file.unread:
                self._unread.add(file.unread, file.path)
            file.remove()
        except OSError as error:
            self._failed.add(1, error)
            self.is_left |= file is self._own
            file.close()
        return None

    def _take_over(self, seen: Container[Path]) -> SpoolFile | None:
        """The oldest file that nobody holds. Only one: how many there are has no bound."""
        for _, _, path in self._files():
            try:
                if path not in seen and (file := SpoolFile.left(path)) is not None:
                    return file
            except OSError as error:
                self._failed.add(1, error)
        return None


def _in_file_name(name: str) -> str:
    """A dot ends it there; the rest of a long one is a hash, as file names have a bound."""
    quoted = quote(name, safe="").replace(".", "%2E")
    if len(quoted) <= LONGEST:
        return quoted
    return f"{quoted[:LONGEST]}-{blake2b(name.encode(), digest_size=8).hexdigest()}"


def _forked() -> None:
    """A child has its parent's files open, and a file is locked as long as anybody has."""
    for spool in list(_SPOOLS):
        spool.close()


os.register_at_fork(after_in_child=_forked)
