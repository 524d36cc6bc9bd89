"""Many viewers of one wall in one cheap process: opens streams, notes when which total arrived.

Run as a module of its own: PORT, SITE, how many, and the file for its notes. Prints `open` when every
stream has brought a frame, and ends when its standard input does. Times are time.monotonic(), which
on Linux is the same clock in all processes.
"""

import re
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tests.service import ROOT

NOTE = struct.Struct("=IIQd")
OPENED = 60.0  # seconds until every stream must have brought a frame
MOST = 262_144  # bytes read at once
TOTAL = re.compile(rb'\ndata:[^\n]*?"hits":(\d+),"bytes"')  # the frame's own, not a label's


class Note(NamedTuple):
    """A frame that a viewer got, whole."""

    viewer: int
    size: int  # bytes read since the frame before
    hits: int  # the total that it shows
    at: float


class Viewers:
    """The streams, and the file for the notes."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._poll = select.epoll()
        self._streams: dict[int, tuple[int, socket.socket]] = {}  # by file number
        self._rest: dict[int, bytes] = {}  # the beginning of a frame whose end has not come yet
        self.waiting: set[int] = set()  # viewers that have no frame yet

    def open(self, port: int, site: str, count: int) -> None:
        """Connect as browsers do, and ask for the stream of the hour."""
        ask = f"GET /live?channel={site}&bucket=hour HTTP/1.1\r\nHost: localhost\r\n"
        ask += "Accept: text/event-stream\r\nCache-Control: no-cache\r\n\r\n"
        for viewer in range(count):
            stream = socket.create_connection(("127.0.0.1", port), 10)
            stream.sendall(ask.encode())
            self._streams[stream.fileno()] = viewer, stream
            self._poll.register(stream, select.EPOLLIN)
        self.waiting = set(range(count))

    def read(self, timeout: float) -> None:
        """Take in what has come."""
        for number, _ in self._poll.poll(timeout):
            viewer, stream = self._streams[number]
            data = stream.recv(MOST)
            if not data:
                raise ConnectionError(f"the stream of viewer {viewer} has ended")
            data = self._rest.pop(number, b"") + data
            end = data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
            if end:
                self._note(viewer, data[:end])
            if data[end:] not in (b"", b"\r\n"):  # more than the end of the chunk
                self._rest[number] = data[end:]

    def _note(self, viewer: int, whole: bytes) -> None:
        at = time.monotonic()
        totals = TOTAL.findall(whole)
        for total in totals:
            self._out.write(NOTE.pack(viewer, len(whole) // len(totals), int(total), at))
        if totals:
            self.waiting.discard(viewer)


def notes(file: Path) -> list[Note]:
    """What the viewers wrote, in order of time."""
    return [Note(*note) for note in NOTE.iter_unpack(file.read_bytes())]


@contextmanager
def watching(port: int, site: str, count: int, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process of so many viewers, once each has a frame; the notes are whole at the end."""
    command = [sys.executable, "-m", "tests.bench.viewers", str(port), site, str(count), str(file)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    try:
        if process.stdout.readline() != b"open\n":
            raise RuntimeError("the viewers could not open their streams")
        yield process
        process.stdin.close()
        if process.wait(10):
            raise RuntimeError("a stream was cut off")
    finally:
        process.kill()
        process.wait()


def main(port: int, site: str, count: int, file: Path) -> None:
    with file.open("wb") as out:
        viewers = Viewers(out)
        viewers.open(port, site, count)
        end = time.monotonic() + OPENED
        while viewers.waiting:
            viewers.read(1.0)
            if time.monotonic() > end:
                raise TimeoutError(f"{len(viewers.waiting)} viewers have no frame")
        print("open", flush=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            viewers.read(0.1)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
