"""Many streams of server-sent events, ours or another's, in one cheap process that notes what came when.

Run as a module of its own: PORT, CHANNEL, how many, seconds to open them, and the file for its notes. Prints
`asked` when every stream was asked for, and how many have brought an event, once all have or time is up;
ends when its standard input does. Times are time.monotonic(), the same clock in all processes.
"""

import re
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO

from tests.service import ROOT

NOTE = struct.Struct("=IQd")  # which stream, the number in the event, when it was read
NUMBER = re.compile(rb'"hits":(\d+),"bytes"')
CONNECT = 5.0  # seconds that one connection may take
MOST = 262_144  # bytes read at once
OVERLAP = 40  # bytes of what came before, in which a number may have begun


@dataclass
class Streams:
    """The open ones; one that ends or never begins is left out."""

    out: BinaryIO
    begun: set[int] = field(default_factory=set)  # those that have brought an event
    _poll: select.epoll = field(default_factory=select.epoll)
    _open: dict[int, tuple[int, socket.socket]] = field(default_factory=dict)  # by file number
    _tail: dict[int, bytes] = field(default_factory=dict)

    def ask(self, port: int, channel: str, count: int, end: float) -> None:
        """Open them one after the other, until all are or time (monotonic) is up."""
        request = f"GET /live?channel={channel}&bucket=hour HTTP/1.1\r\nHost: localhost\r\n"
        request += "Accept: text/event-stream\r\n\r\n"
        for number in range(count):
            if time.monotonic() > end:
                break
            with suppress(OSError):  # no room for another: it stays unopened
                stream = socket.create_connection(("127.0.0.1", port), CONNECT)
                stream.sendall(request.encode())
                stream.setblocking(False)
                self._open[stream.fileno()] = number, stream
                self._poll.register(stream, select.EPOLLIN)

    def read(self, timeout: float) -> None:
        """Take in what has come."""
        for file, _ in self._poll.poll(timeout):
            number, stream = self._open[file]
            try:
                data = stream.recv(MOST)
            except ConnectionError:
                data = b""
            if data:
                self._note(number, self._tail.get(file, b"") + data)
                self._tail[file] = data[-OVERLAP:]
            else:
                self._poll.unregister(stream)
                del self._open[file]
                stream.close()
        self.out.flush()

    def _note(self, stream: int, data: bytes) -> None:
        at = time.monotonic()
        for found in NUMBER.findall(data):
            self.out.write(NOTE.pack(stream, int(found), at))
            self.begun.add(stream)


@contextmanager
def streaming(port: int, channel: str, count: int, patience: float, notes: Path) -> Iterator[IO[bytes]]:
    """What their process prints; the notes are whole at the end."""
    command = [sys.executable, "-m", __name__, *map(str, (port, channel, count, patience, notes))]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin
    assert process.stdout
    try:
        yield process.stdout
        process.stdin.close()
        process.wait(10)
    finally:
        process.kill()
        process.wait()


def main(port: int, channel: str, count: int, patience: float, notes: Path) -> None:
    end = time.monotonic() + patience
    with notes.open("wb") as out:
        streams = Streams(out)
        streams.ask(port, channel, count, end)
        print("asked", flush=True)
        while len(streams.begun) < count and time.monotonic() < end:
            streams.read(0.1)
        print(len(streams.begun), flush=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            streams.read(0.1)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), Path(sys.argv[5]))
