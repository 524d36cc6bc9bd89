"""Logs as files: plain, compressed, piped in, and the names by which they are known again."""

import fcntl
import gzip
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from tracker.log_lines import CHUNK, MAX_LINE, TAIL, Place, Stream, digest, read

UNREADABLE = (OSError, EOFError, zlib.error)  # what a disk or a damaged gzip file answers with
KEPT = 1_048_576  # bytes of a pipe that can be read a second time
STDIN = Path("-")


class BadLog(RuntimeError):
    """A file cannot be read on as a log; the message says why."""


class Pipe:
    """A stream that cannot seek, but goes back to its beginning as long as that is kept."""

    def __init__(self, source: FileIO) -> None:
        self._source = source
        self._kept = b""
        self._at = self._read = 0

    def read(self, size: int = -1, /) -> bytes:
        if self._at < self._read:
            found = self._kept[self._at : self._at + size]
        else:
            found = self._source.read(size) or b""
            self._read += len(found)
            self._kept = self._kept + found if self._read <= KEPT else b""
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Forward by reading. Raises BadLog for a place that is not kept."""
        if offset < self._at:
            if not self._kept:
                raise BadLog(
                    "What is piped in begins like a log that was imported before but goes on otherwise, or "
                    "another process imports it, too: write it to a file and import that."
                )
            self._at = offset
        while self._at < offset and self.read(min(CHUNK, offset - self._at)):
            pass
        return self._at


@dataclass
class LogFile:
    """An open log. `file` tells how far it has been read: of a compressed one the compressed bytes."""

    path: Path
    file: FileIO
    stream: Stream
    grows: bool  # a last line without its end may still get one
    inode: str  # names the file on this machine; empty where its content alone tells what it is

    @classmethod
    def open(cls, path: Path) -> "LogFile":
        """The log at that path, `-` for standard input; gzip is known by its first bytes.

        Raises OSError.
        """
        file = FileIO(sys.stdin.fileno(), closefd=False) if path == STDIN else FileIO(path)
        about = os.fstat(file.fileno())
        regular = stat.S_ISREG(about.st_mode)
        plain = file if regular else Pipe(file)
        packed = read(plain, 2) == b"\x1f\x8b"
        plain.seek(0)
        stream = gzip.GzipFile(fileobj=plain) if packed else plain
        grows = regular and not packed and path != STDIN
        return cls(path, file, stream, grows, inode(about) if grows else "")

    def names(self) -> list[str]:
        """What the log is known by: its first line, be it copied or compressed; and its inode.

        None while the first line has no end.
        """
        self.stream.seek(0)
        head = b""
        while b"\n" not in head and len(head) < MAX_LINE and (chunk := self.stream.read(MAX_LINE)):
            head += chunk
        line, end, _ = head[:MAX_LINE].partition(b"\n")
        if not end and (not line or (self.grows and len(line) < MAX_LINE)):
            return []
        return [name for name in (f"log-{digest(line)}", self.inode) if name]

    def holds(self, place: Place, size: int) -> bool:
        """Whether a plain file has at least that size, and before the place what was there."""
        length = min(TAIL, place.offset)
        last = os.pread(self.file.fileno(), length, place.offset - length)
        return self.size() >= size and (not length or digest(last) == place.digest)

    def size(self) -> int:
        """Bytes of the file; 0 where nobody knows."""
        return os.fstat(self.file.fileno()).st_size

    def read_so_far(self) -> int:
        """Bytes of the file that have been read."""
        return self.file.tell() if self.file.seekable() else 0

    def close(self) -> None:
        self.file.close()


def inode(about: os.stat_result) -> str:
    """The name of a file as its device has it, whatever its path."""
    return f"log-{about.st_dev}-{about.st_ino}"


@contextmanager
def turn(log: LogFile) -> Iterator[bool]:
    """Whether it is this process's turn at the log. That saves work; who stores what, Redis decides."""
    try:
        fcntl.flock(log.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
        return
    except OSError:  # a file system without locks
        yield True
        return
    try:
        yield True
    finally:
        fcntl.flock(log.file, fcntl.LOCK_UN)
