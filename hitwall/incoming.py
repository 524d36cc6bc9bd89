"""Incoming: what a connection has sent and nobody has taken yet. Heads and bodies are read from it."""

from typing import Any

from hitwall.head import END, Head, check_begun, read

PIECE = 16_384  # bytes that are taken from the kernel at once: a head, and mostly all that there is


class Incoming:
    """The reading side of a connection. Bound: a head of the greatest size and a piece."""

    closed = False  # pywsgi asks

    def __init__(self, sock: Any) -> None:
        self.left = b""
        self._socket = sock
        self._receive = sock._sock.recv
        self._wait = sock.hub.wait
        self._readable = sock._read_event

    def head(self) -> Head | None:
        """The next request's; None at the end. Raises OSError, Refused, or ValueError where it is none.

        It asks the kernel when there is something: else every other call would be in vain.
        """
        text = self.left
        if not text:
            self._wait(self._readable)
            text = self._receive(PIECE)
            if not text:
                return None
        end = text.find(END)
        if end < 0:
            text, end = self._whole(text)
        self.left = text[end + 4 :]
        return read(text[:end])

    def _whole(self, text: bytes) -> tuple[bytes, int]:
        """What has come, and where the head ends in it."""
        end, piece = -1, text
        while end < 0:
            check_begun(text, b"\n" in piece)
            piece = self._socket.recv(PIECE)
            if not piece:
                raise ValueError("the head has no end")
            before = max(0, len(text) - len(END) + 1)
            text += piece
            end = text.find(END, before)
        return text, end

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end. Raises OSError."""
        pieces = [self.left[:size]]
        self.left = self.left[size:]
        missing = size - len(pieces[0])
        while missing and (piece := self._socket.recv(min(missing, PIECE))):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def readline(self, size: int) -> bytes:
        """Up to the end of the line, or so many bytes. Raises OSError."""
        while len(self.left) < size and b"\n" not in self.left and (piece := self._socket.recv(PIECE)):
            self.left += piece
        end = self.left.find(b"\n", 0, size) + 1 or size
        return self.read(min(end, len(self.left)))
