"""SpoolFile: batches in one file, which belongs to one process as long as that lives."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from tracker.disk import aside, locked, sync_directory
from tracker.spool_record import DONE, HEAD_SIZE, WAITS, batch_of, is_whole, size_of
from tracker.storage import Batch

OTHERS = stat.S_IWGRP | stat.S_IWOTH  # who may write in a directory besides its owner
CHUNK = 65_536  # bytes read at once in search of the next record


class SpoolFile:
    """An open file, locked by this process; `size` is in bytes."""

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self.waiting = 0  # batches appended here that are not done
        self.unread = 0  # bytes that held no record
        self._file = file
        self.size = os.fstat(file).st_size
        self._at = 0  # where the first batch that was not given yet, or not settled, may begin
        self._next = 0  # where the last that was given ends
        self._given: list[int] = []  # where those begin that were given last
        self._put_off: int | None = None  # where the first begins that was given and did not go
        self._checked = 0  # where what may be unread begins

    @classmethod
    def made(cls, path: Path) -> "SpoolFile":
        """A new file. Raises OSError."""
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            if not locked(path, file):
                raise BlockingIOError(f"{path} was taken for one that is left")
            sync_directory(path.parent)
        except OSError:
            path.unlink(missing_ok=True)
            os.close(file)
            raise
        return cls(path, file)

    @classmethod
    def left(cls, path: Path) -> "SpoolFile | None":
        """What a process that is gone has left; None where it lives, or by now another. Raises OSError."""
        file = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)  # a pipe would hold us
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode) or not locked(path, file):
                return None
            _check_owner(path, os.fstat(file))
            file, left = -1, cls(path, file)
            return left
        finally:
            if file >= 0:
                os.close(file)

    def append(self, records: bytes, number: int) -> None:
        """They are on the disk when this returns. Raises OSError, and then nothing of them is in the file."""
        rest, written = memoryview(records), 0
        try:
            while written < len(records):
                written += os.pwrite(self._file, rest[written:], self.size + written)
            aside(os.fsync, self._file)
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += written
        self.waiting += number

    @property
    def is_closed(self) -> bool:
        return self._file < 0

    @property
    def holds_put_off(self) -> bool:
        """Whether batches were given that did not go; they come again after `again`."""
        return self._put_off is not None

    def several(self, most: int) -> list[Batch]:
        """The next batches, of so many hits together at most, or one; the same until they are settled.

        Empty at the end. What cannot be read is passed over. Raises OSError.
        """
        found: list[Batch] = []
        self._given, at = [], self._at
        while (place := self._find(at)) is not None:
            begin, end, batch = place
            self._at = begin if not found else self._at
            most -= len(batch)
            if found and most < 0:
                break
            found.append(batch)
            self._given.append(begin)
            at = end
        self._next = at
        return found

    def settle(self, stored: Iterable[bool]) -> None:
        """Of the batches that `several` gave these are stored; the others are put off.

        Raises OSError; here they are done nevertheless.
        """
        given = dict(zip(self._given, stored, strict=True))
        self._given, self._at = [], self._next
        if self._put_off is None:
            self._put_off = next((at for at, is_stored in given.items() if not is_stored), None)
        done = [at for at, is_stored in given.items() if is_stored]
        self.waiting = max(0, self.waiting - len(done))
        for at in done:
            os.pwrite(self._file, DONE, at)

    def again(self) -> None:
        """From the first batch that is not done."""
        if self._put_off is not None:
            self._at, self._put_off = self._put_off, None

    def remove(self) -> None:
        """Delete and close. Raises OSError; it is closed nevertheless."""
        try:
            self.path.unlink(missing_ok=True)
        finally:
            self.close()

    def close(self) -> None:
        """Close; whoever lives may take what is left."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _find(self, at: int) -> tuple[int, int, Batch] | None:
        """Where the first batch from there on begins and ends that is not done, and the batch."""
        while at < self.size:
            record = self._record(at)
            end = at + len(record)
            if not is_whole(record):
                end = self._pass_over(at)
            elif record[:1] == WAITS:
                if (batch := batch_of(record)) is not None:
                    return at, end, batch
                end = self._pass_over(at)
            at = end
        return None

    def _record(self, at: int) -> bytes:
        return self._read(at, size_of(self._read(at, HEAD_SIZE)))

    def _read(self, at: int, size: int) -> bytes:
        return os.pread(self._file, min(size, self.size - at), at)

    def _pass_over(self, begun: int) -> int:
        """On to what follows the next line feed, or to the end: a torn tail has none."""
        at = begun
        while at < self.size:
            chunk = self._read(at, CHUNK)
            found = chunk.find(b"\n")
            at = self.size if not chunk else at + (found + 1 or len(chunk))
            if found >= 0:
                break
        self.unread += max(0, at - max(begun, self._checked))
        self._checked = max(self._checked, at)
        return at


def _check_owner(path: Path, found: os.stat_result) -> None:
    """Raises PermissionError where others may write here and one has: it would bring hits past every door."""
    place = path.parent.stat()
    if place.st_mode & OTHERS and found.st_uid not in (os.geteuid(), place.st_uid):
        raise PermissionError(f"{path} is somebody else's, in a directory where others may write")
