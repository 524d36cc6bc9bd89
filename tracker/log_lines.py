"""Whole lines of a log in batches, and the place up to which they have been read."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

MAX_LINE = 65_536  # bytes; of a longer line comes one byte more than that, so that it can be told
CHUNK = 262_144  # bytes of a batch: about a thousand lines
PIECE = 65_536  # bytes read at once: more would leave the processor's cache, and the system gives memory anew
TAIL = 1024  # bytes before a place whose digest tells whether it is the same log


class Stream(Protocol):
    """What lines are read from; `read` gives nothing at the end, which may be the end for now."""

    def read(self, size: int, /) -> bytes | None: ...
    def seek(self, offset: int, /) -> int: ...


@dataclass(frozen=True)
class Place:
    """Up to where a log has been read: the bytes and lines before, and a digest of the last bytes."""

    offset: int = 0  # uncompressed
    lines: int = 0
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.offset} {self.lines} {self.digest}"

    @classmethod
    def read(cls, text: str) -> "Place":
        """The place that str() wrote; the beginning where it is none."""
        part = text.split(" ")
        known = len(part) == 3 and part[0].isdecimal() and part[1].isdecimal()
        return cls(int(part[0]), int(part[1]), part[2]) if known else cls()


@dataclass(frozen=True)
class Batch:
    """Lines without their ends, and the place after them."""

    lines: list[bytes]
    end: Place


class Lines:
    """The whole lines of a stream from a place on; `place` is where the next batch begins."""

    def __init__(self, stream: Stream, place: Place = Place(), chunk: int = CHUNK) -> None:
        self.place = place
        self._stream = stream
        self._chunk = chunk  # bytes of a batch, or as many as its first line has
        self._held = b""  # of a line without its end, at most one byte more than it may have
        stream.seek(max(0, place.offset - TAIL))
        self._tail = read(stream, min(TAIL, place.offset))  # of all that was read
        self.offset = place.offset

    def there(self) -> bool:
        """Whether this is the log in which the place was taken."""
        return self.place.offset == 0 or digest(self._tail) == self.place.digest

    def batch(self) -> Batch | None:
        """The next lines; None where no whole one is left, for now or for ever."""
        lines: list[bytes] = []
        size = 0
        while (not lines or size < self._chunk) and (piece := self._stream.read(min(PIECE, self._chunk))):
            size += len(piece)
            self.offset += len(piece)
            head, end, rest = piece.rpartition(b"\n")
            if not end:
                self._tail = (self._tail + piece)[-TAIL:]
                self._held = (self._held + piece)[: MAX_LINE + 1]
                continue
            tail = (self._tail + head[-TAIL:] + end)[-TAIL:]
            self._tail = (tail + rest)[-TAIL:]
            lines += (self._held + head).split(b"\n")
            self._held = rest[: MAX_LINE + 1]
            ended = self.offset - len(rest), tail
        return self._moved(lines, *ended) if lines else None

    def rest(self) -> Batch | None:
        """The last line, which has no end; None where there is none."""
        if not self._held:
            return None
        lines, self._held = [self._held], b""
        return self._moved(lines, self.offset, self._tail)

    @property
    def unfinished(self) -> bool:
        """Whether the last line has no end yet."""
        return bool(self._held)

    def _moved(self, lines: list[bytes], offset: int, tail: bytes) -> Batch:
        self.place = Place(offset, self.place.lines + len(lines), digest(tail))
        return Batch([line[: MAX_LINE + 1] for line in lines], self.place)


def digest(text: bytes) -> str:
    """A short name for these bytes."""
    return blake2b(text, digest_size=8).hexdigest()


def read(stream: Stream, size: int) -> bytes:
    """So many bytes, or fewer at the end."""
    found = b""
    while len(found) < size and (chunk := stream.read(size - len(found))):
        found += chunk
    return found
