"""Hits at planned times over one kept connection, and when each was answered."""

import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from tests.hits import FIREFOX

AHEAD = 0.05  # seconds until the first


class Refused(RuntimeError):
    """A hit was answered without success."""


@dataclass(frozen=True)
class Sent:
    """Times are time.monotonic(); `at` is the planned one, which a slow answer before does not move."""

    at: float
    answered: float

    @property
    def wait(self) -> float:
        return self.answered - self.at


def send(port: int, targets: Sequence[str], times: Sequence[float], timeout: float = 10) -> list[Sent]:
    """One hit at each of the times, seconds from now; every one must be taken, within the timeout."""
    door = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    door.connect()
    begun = time.monotonic() + AHEAD
    sent = []
    for after, target in zip(times, cycle(targets), strict=False):
        time.sleep(max(0.0, begun + after - time.monotonic()))
        door.request("GET", target, headers={"User-Agent": FIREFOX, "X-Forwarded-For": "203.0.113.7"})
        with door.getresponse() as answer:
            answer.read()
        if answer.status != 200:
            raise Refused(f"a hit was refused: {answer.status} {answer.headers['X-Hitwall']}")
        sent.append(Sent(begun + after, time.monotonic()))
    door.close()
    return sent
