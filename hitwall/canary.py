"""The sender of the canary: somebody outside, with a wall open, who hits a page and looks when it is there.

One greenlet of each web worker; of all that share a Redis one sends in a period.
"""

import logging
import secrets
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

import gevent
import msgspec
from redis import Redis, RedisError

from hitwall.processes import base_url
from summaries.feed import APART
from tracker import canary, keys
from tracker.connection import connect
from tracker.hit import CANARY
from tracker.settings import Settings

log = logging.getLogger(__name__)

AGENT = "Hitwall canary"
HELD = 0.9  # of a period, for which nobody else sends; less than one, or it would be late each time
NEWS = 2  # in a row that do not come through are worth a line; the restart of a web process cuts off one


class NoCanary(Exception):
    """It did not come through; the message says where it ended, without a secret."""


class Row(msgspec.Struct):
    """A hit on the wall."""

    path: str


class Frame(msgspec.Struct):
    """What a canary looks for."""

    recent: list[Row]


decode = msgspec.json.Decoder(Frame).decode


class Sender:
    """Sends canaries to the address of the settings, through whatever stands between it and us."""

    def __init__(self, settings: Settings, base: str, redis: Redis) -> None:
        self._address = urlsplit(base)
        self._token = settings.token
        self._period = settings.canary
        self._redis = redis
        self._failures = 0  # since the last that came through

    def run(self) -> None:
        """For ever; the first one goes out a period after the start, when all is up."""
        while True:
            gevent.sleep(self._period)
            with suppress(RedisError):  # the walls say so themselves
                if self.take_turn():
                    self.send()

    def take_turn(self) -> bool:
        """Whether this period's canary is ours to send; then nobody else sends one."""
        held = int(1000 * HELD * self._period)
        return bool(self._redis.set(keys.SENDER, secrets.token_hex(8), nx=True, px=held))

    def send(self) -> None:
        """One canary, and what became of it into Redis. Raises RedisError."""
        try:
            with gevent.Timeout(canary.UNDER_WAY, NoCanary(f"nothing within {canary.UNDER_WAY} s")):
                seconds = self.time()
        except NoCanary as error:
            self._failures += 1
            if self._failures == NEWS:
                log.warning("no canary comes through: %s", error)
            canary.failed(self._redis, self._period, datetime.now(UTC))
        else:
            if self._failures >= NEWS:
                log.warning("canaries come through again")
            self._failures = 0
            canary.came(self._redis, seconds, self._period, datetime.now(UTC))

    def time(self) -> float:
        """Seconds from a hit to the frame that shows it. Raises NoCanary, and RedisError."""
        path = f"/{canary.mark(self._redis)}"
        try:
            with self._asked(f"/live?channel={CANARY}") as stream:
                frames = _frames(stream)
                next(frames, None)  # there is a wall
                gevent.sleep(APART)  # after which it shows what comes at once
                begun = time.monotonic()
                with self._asked(f"/a.gif?url={path}&s={CANARY}") as pixel:
                    pixel.read()
                if any(row.path == path for frame in frames for row in frame.recent):
                    return time.monotonic() - begun
        except (OSError, HTTPException, ValueError, msgspec.MsgspecError) as error:
            raise NoCanary(type(error).__name__) from error
        raise NoCanary("the stream ended")

    @contextmanager
    def _asked(self, target: str) -> Iterator[HTTPResponse]:
        """The answer, not read yet. Raises NoCanary where it is none."""
        connection = self._connection()
        try:
            headers = {
                "User-Agent": AGENT,
                **({"Authorization": f"Bearer {self._token}"} if self._token else {}),
            }
            connection.request("GET", self._address.path.rstrip("/") + target, headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise NoCanary(f"{target.partition('?')[0]} answers {answer.status}")
            yield answer
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        if self._address.scheme == "https":
            context = ssl.create_default_context()
            return HTTPSConnection(host, port, timeout=canary.UNDER_WAY, context=context)
        return HTTPConnection(host, port, timeout=canary.UNDER_WAY)


def _frames(stream: HTTPResponse) -> Iterator[Frame]:
    return (decode(line[5:]) for line in stream if line.startswith(b"data:"))


def start(settings: Settings) -> None:
    """Send canaries from this process, where the settings want any."""
    if settings.canary:
        base = settings.url or base_url(settings)
        gevent.spawn(Sender(settings, base, connect(settings.running_redis())).run)
