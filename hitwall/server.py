"""The listening end of a web process: what its connections inherit, and how it stops without losing one."""

import ctypes
import logging
import resource
import socket
import struct
import sys
import time
from contextlib import suppress

import gevent
from gevent.lock import RLock

from hitwall.handler import close_silent
from hitwall.owed import IDLE
from hitwall.spread import FairServer

log = logging.getLogger(__name__)

GONE = 10_000  # milliseconds without a sign of life after which a peer has gone, though it never said so
UNSENT = 16_384  # bytes that wait in the kernel for one who reads slowly; newer frames are worth more
# (level, option, value), as Linux has them; elsewhere those that exist. A connection inherits its listener's.
OPTIONS = [
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", GONE),  # nothing is taken: sent again in vain, or not read
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),  # and for connections on which we send nothing
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", GONE // 2000),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", GONE // 4000),
    (socket.IPPROTO_TCP, "TCP_NOTSENT_LOWAT", UNSENT),
]

SPARE = 200  # connections; where fewer are left somebody holds them, and visitors would find no room
HURRY = 2.0  # seconds that a connection may be silent then: a request is sent at once

FILES = 200  # that a process has open besides its connections; Redis, libraries, the spool

DRAIN = 1.5  # seconds in which a stopping process answers what has got through to it
HANDSHAKE = 0.1  # seconds that a connection may take which was begun before
SILENT = 0.4  # seconds without a request after which a connection is closed then
TURN = 0.02  # seconds between two looks

# A BPF program that drops what begins a connection (SYN without ACK) and lets all else pass. Instructions:
# load the flags, keep SYN and ACK, compare with SYN. https://docs.kernel.org/networking/filter.html
NO_SYN = [(0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)]
SO_ATTACH_FILTER = 26  # Linux's number on all that Python names; the socket module has it not


class Server(FairServer):
    """Accepts connections; `close` accepts no more and returns when those that got through are answered."""

    def init_socket(self) -> None:
        super().init_socket()
        for level, name, value in OPTIONS:
            if hasattr(socket, name):
                self.socket.setsockopt(level, getattr(socket, name), value)
        SERVING.append(self)

    def close(self) -> None:
        with CLOSING:
            if not self.started:
                super().close()
                return
            gevent.sleep(HANDSHAKE)
            while not self.full() and (accepted := self.do_read()):
                self.do_handle(*accepted)
            super().close()
            self._drain(time.monotonic() + DRAIN)

    def _drain(self, end: float) -> None:
        """After the end (monotonic), who has not sent or taken all is cut off."""
        while len(self.pool) and time.monotonic() < end:
            close_silent(time.monotonic(), SILENT)
            gevent.sleep(TURN)
        self.pool.kill(timeout=TURN)


SERVING: list[Server] = []  # of this process. Bound: its listeners
CLOSING = RLock()  # gunicorn closes a server that is being closed; it has to wait until all are answered


def patience() -> float:
    """Seconds that a connection may be silent: few while there is hardly room for another."""
    free = min((server.pool.free_count() for server in SERVING), default=SPARE)
    return IDLE if free >= SPARE else HURRY


def refuse_new(listener: socket.socket) -> None:
    """Let no new connection begin, so that none is cut off, unheard, when the listener is closed.

    Closing resets what was not accepted yet, a request that was sent already along with it. A kernel that
    gets no answer tries again by itself after a second, and is refused by then. Only for the end of all
    processes that share the listener: it turns away for all of them.
    """
    if sys.platform != "linux":
        return
    program = b"".join(struct.pack("HBBI", *step) for step in NO_SYN)
    kept = ctypes.create_string_buffer(program)
    with suppress(OSError):  # a kernel without it: who comes within the next microseconds is cut off
        pointer = struct.pack("HP", len(NO_SYN), ctypes.addressof(kept))
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)


def allow_connections(most: int) -> None:
    """Raise what the shell or systemd lets a process open, 1,024 often, to what so many connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = most + FILES if hard == resource.RLIM_INFINITY else min(most + FILES, hard)
    if allowed < most + FILES:
        log.warning("the limit of open files (ulimit -Hn) is %d: %d connections need more", hard, most)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
