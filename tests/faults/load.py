"""A bounded load of hits, each with a path of its own, and what was answered to each."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from urllib.parse import quote, urlsplit

from tests.hits import FIREFOX

TIMEOUT = 15.0  # seconds a visitor waits; a door that has not answered by then has failed
LONGEST = 120.0  # seconds of a load, where the test names no other number
REST = 0.02  # seconds before a visitor tries again whose connection was refused or cut

_RUNS = count()  # loads of this process: their paths differ


class Load:
    """Visitors who click until `stop`, the bound in hits or the bound in seconds."""

    def __init__(self, base: str, site: str, most: int, pace: float, post: bool, longest: float) -> None:
        self.site = site
        self.sent = 0
        self.acknowledged: set[str] = set()  # paths that were answered with 200 or 204
        self.statuses: Counter[int | str] = Counter()  # status, or the name of what broke the connection
        self.slowest = 0.0  # seconds until the latest answer
        self._run = next(_RUNS)
        self._base = urlsplit(base)
        self._most, self._pace, self._post = most, pace, post
        self._end = time.monotonic() + longest
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._began: dict[str, float] = {}  # path -> when it was sent, monotonic
        self._threads: list[threading.Thread] = []

    def start(self, visitors: int) -> None:
        self._threads = [threading.Thread(target=self._click, args=(n,)) for n in range(visitors)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Return when every answer that was awaited has come."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def paths(self) -> set[str]:
        """All that were sent."""
        with self._lock:
            return set(self._began)

    def before(self, moment: float) -> set[str]:
        """Paths that were sent before that moment (monotonic)."""
        with self._lock:
            return {path for path, began in self._began.items() if began < moment}

    def _click(self, visitor: int) -> None:
        door: http.client.HTTPConnection | None = None
        for n in count():
            path = f"/{self._run}-{visitor}-{n}"
            if not self._may_send(path):
                break
            door = door or self._connect()
            try:
                status = self._send(door, path, f"{self._run}-{visitor}")
            except (OSError, http.client.HTTPException) as error:
                self.note(path, type(error).__name__)
                door.close()
                door = None
                self._over.wait(REST)
            else:
                self.note(path, status)
            if self._pace:
                self._over.wait(self._pace)
        if door:
            door.close()

    def _may_send(self, path: str) -> bool:
        with self._lock:
            if self._over.is_set() or self.sent >= self._most or time.monotonic() > self._end:
                return False
            self.sent += 1
            self._began[path] = time.monotonic()
        return True

    def _connect(self) -> http.client.HTTPConnection:
        assert self._base.hostname
        return http.client.HTTPConnection(self._base.hostname, self._base.port, timeout=TIMEOUT)

    def _send(self, door: http.client.HTTPConnection, path: str, visitor: str) -> int:
        said = f"url={quote(f'https://{self.site}{path}', safe='')}&v=visitor-{visitor}"
        headers = {"User-Agent": FIREFOX, "Accept-Language": "en"}
        if self._post:
            door.request("POST", "/a.gif", said, headers)
        else:
            door.request("GET", f"/a.gif?{said}", headers=headers)
        with door.getresponse() as answer:
            answer.read()
            return answer.status

    def note(self, path: str, what: int | str) -> None:
        """What was answered, or what broke the connection."""
        now = time.monotonic()
        with self._lock:
            began = self._began.setdefault(path, now)
            self.statuses[what] += 1
            if what in (200, 204):
                self.acknowledged.add(path)
            if isinstance(what, int):
                self.slowest = max(self.slowest, now - began)


@contextmanager
def load(
    base: str,
    site: str = "example.com",
    visitors: int = 4,
    most: int = 20_000,
    pace: float = 0.0,
    post: bool = False,
    longest: float = LONGEST,
) -> Iterator[Load]:
    """So many visitors click at that service, with `pace` seconds between two hits of each, until the end."""
    running = Load(base, site, most, pace, post, longest)
    with together([running], visitors):
        yield running


@contextmanager
def together(loads: Sequence[Load], visitors: int) -> Iterator[None]:
    """The loads go on at the same time, each with so many visitors, until the end."""
    try:
        for each in loads:
            each.start(visitors)
        yield
    finally:
        for each in loads:
            each.stop()
