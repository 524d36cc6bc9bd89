"""SpoolFile: batches in one file, which belongs to one process as long as that lives.

A record is a line: a mark, the length and the CRC-32 of what follows, in hex, then a batch as JSON, which
holds no line feed. So a line feed ends every record, and behind a broken one the next can be found.
"""

import fcntl
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from tracker.hit import Hit
from tracker.storage import Batch

T = TypeVar("T")

WAITS, DONE = b"+", b"-"  # one byte: changing it cannot be torn
HEAD = re.compile(rb"[+-]([0-9a-f]{8}) [0-9a-f]{8} ")
HEAD_SIZE = 19  # bytes
CHUNK = 65_536  # bytes read at once in search of the next record


class Record(msgspec.Struct):
    """A batch as JSON has it."""

    source: str
    position: int
    hits: list[Hit]


decode = msgspec.json.Decoder(Record).decode


class SpoolFile:
    """An open file, locked by this process; `size` is in bytes."""

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self.waiting = 0  # batches appended here that are not done
        self.unread = 0  # bytes that held no record
        self._file = file
        self.size = os.fstat(file).st_size
        self._at = 0  # where the first batch that is not done may begin
        self._next = 0  # where the record that was read last ends

    @classmethod
    def made(cls, path: Path) -> "SpoolFile":
        """A new file. Raises OSError."""
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            if not _locked(path, file):
                raise BlockingIOError(f"{path} was taken for one that is left")
            _sync_directory(path.parent)
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
            if not stat.S_ISREG(os.fstat(file).st_mode) or not _locked(path, file):
                return None
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

    def first(self) -> Batch | None:
        """The first batch that is not done; None at the end. What cannot be read is passed over.

        Raises OSError.
        """
        while self._at < self.size:
            record = self._record()
            self._next = self._at + len(record)
            if not _is_whole(record):
                self._pass_over()
            elif record[:1] == DONE:
                self._at = self._next
            elif (batch := _batch(record)) is not None:
                return batch
            else:
                self._pass_over()
        return None

    def done(self) -> None:
        """The batch that `first` gave is stored. Raises OSError; here it is done nevertheless."""
        at, self._at = self._at, self._next
        self.waiting = max(0, self.waiting - 1)
        os.pwrite(self._file, DONE, at)

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

    def _record(self) -> bytes:
        head = HEAD.match(self._read(HEAD_SIZE))
        return self._read(HEAD_SIZE + int(head[1], 16) + 1) if head else b""

    def _read(self, size: int) -> bytes:
        return os.pread(self._file, min(size, self.size - self._at), self._at)

    def _pass_over(self) -> None:
        """On to what follows the next line feed, or to the end: a torn tail has none."""
        begun = self._at
        while self._at < self.size:
            chunk = self._read(CHUNK)
            found = chunk.find(b"\n")
            self._at = self.size if not chunk else self._at + (found + 1 or len(chunk))
            if found >= 0:
                break
        self.unread += self._at - begun


def record_of(batch: Batch) -> bytes:
    """As it stands in a file. Raises TypeError, ValueError, OverflowError where JSON cannot hold a hit."""
    body = msgspec.json.encode(Record(batch.source, batch.position, list(batch)))
    return b"%b%08x %08x %b\n" % (WAITS, len(body), zlib.crc32(body), body)


def aside(call: Callable[..., T], *given: object) -> T:
    """What it returns. Where gevent has patched the process, a real thread runs it meanwhile: a disk that
    takes its time would hold up every greenlet.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return call(*given)
    try:
        returned: T = sys.modules["gevent"].get_hub().threadpool.apply(call, given)
    except RuntimeError:  # no thread can be had, as when a process ends in Python 3.12
        return call(*given)
    return returned


def _locked(path: Path, file: int) -> bool:
    """Whether it is ours now, and still the one of that name. Raises OSError where files have no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file), path.lstat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _sync_directory(directory: Path) -> None:
    """A new name is on the disk once its directory is."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        aside(os.fsync, opened)
    finally:
        os.close(opened)


def _is_whole(record: bytes) -> bool:
    body = record[HEAD_SIZE:-1]
    return record[1:HEAD_SIZE] == b"%08x %08x " % (len(body), zlib.crc32(body)) and record[-1:] == b"\n"


def _batch(record: bytes) -> Batch | None:
    try:
        read = decode(record[HEAD_SIZE:-1])
    except (msgspec.MsgspecError, UnicodeDecodeError):  # another version's
        return None
    return Batch(read.hits, read.source, read.position)
