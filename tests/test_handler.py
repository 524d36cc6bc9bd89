"""The handler of requests: which connections it gives up. What it refuses, tests/faults tells."""

import socket
from dataclasses import dataclass
from typing import cast

from hitwall.handler import IDLE, WAITING, Handler, close_silent


@dataclass(frozen=True)
class Silent:
    """As much of a handler as is looked at."""

    socket: socket.socket


def test_a_connection_is_given_up_when_no_request_has_come_for_its_time_and_not_before() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        handler = cast(Handler, Silent(ours))
        WAITING[handler] = 100.0
        try:
            close_silent(100.0 + IDLE - 0.1, IDLE)
            ours.setblocking(False)
            theirs.sendall(b"G")
            assert ours.recv(1) == b"G"
            close_silent(100.0 + IDLE, IDLE)
            assert ours.recv(1) == b""  # so the server's own reading ends, and it closes
        finally:
            del WAITING[handler]
