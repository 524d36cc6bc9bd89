"""How a batch stands in a spool's file: as a line, made sure of by its length and a checksum.

A mark, the length and the CRC-32 of what follows, in hex, then the batch as JSON, which holds no line
feed. So a line feed ends every record, and behind a broken one the next can be found.
"""

import re
import zlib

import msgspec

from tracker.hit import Hit
from tracker.storage import Batch

WAITS, DONE = b"+", b"-"  # one byte: changing it cannot be torn
HEAD = re.compile(rb"[+-]([0-9a-f]{8}) [0-9a-f]{8} ")
HEAD_SIZE = 19  # bytes


class Record(msgspec.Struct):
    """A batch as JSON has it."""

    source: str
    position: int
    hits: list[Hit]


decode = msgspec.json.Decoder(Record).decode


def size_of(head: bytes) -> int:
    """Bytes of the record that begins like this; 0 where none does."""
    found = HEAD.match(head)
    return HEAD_SIZE + int(found[1], 16) + 1 if found else 0


def record_of(batch: Batch) -> bytes:
    """As it stands in a file. Raises TypeError, ValueError, OverflowError where JSON cannot hold a hit."""
    body = msgspec.json.encode(Record(batch.source, batch.position, list(batch)))
    return b"%b%08x %08x %b\n" % (WAITS, len(body), zlib.crc32(body), body)


def is_whole(record: bytes) -> bool:
    """Whether it is all there, and as it was written."""
    body = record[HEAD_SIZE:-1]
    return record[1:HEAD_SIZE] == b"%08x %08x " % (len(body), zlib.crc32(body)) and record[-1:] == b"\n"


def batch_of(record: bytes) -> Batch | None:
    """None where that is none of ours."""
    try:
        read = decode(record[HEAD_SIZE:-1])
    except (msgspec.MsgspecError, UnicodeDecodeError):  # another version's
        return None
    return Batch(read.hits, read.source, read.position)
