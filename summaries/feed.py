"""Feed: the newest frame of one site and kind of bucket, shared by all who watch it."""

import time
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from flask_sse import Message
from gevent.event import Event

from summaries.counters import Announcement
from summaries.frame import Picture, dump
from tracker.raw import order

APART = 0.25  # seconds between two frames at least: the eye wants no more than four a second
LOOK = 1.0  # seconds after which a frame is drawn to see whether time alone has changed it
QUIET = 4.0  # seconds after which the next look sends an unchanged frame again, as a sign of life
PASSING = {"at", "lag"}  # differ in every frame; alone they are no news


class Feed:
    """A slow viewer gets the newest message when it is ready for one, and never an older."""

    def __init__(self, site: str, kind: str, hidden: Collection[str] = ()) -> None:
        """`hidden`: summaries that its frames do not list."""
        self.site = site
        self.kind = kind
        self._hidden = hidden
        self.viewers = 0
        self.closed = False
        self.message = b""  # the event on the wire, serialised once
        self.picture: Picture | None = None
        self.stale = True  # the picture has to be read
        self._dirty = self._counted = False  # changed since the last frame; and by a counted batch
        self._differed = ""  # our cursor, where Redis had another at the last check
        self._shown: Mapping[str, Any] = {}
        self._sent = self._drawn = float("-inf")
        self._news = Event()

    def show(self, picture: Picture) -> None:
        """A picture just read."""
        self.picture, self.stale, self._dirty = picture, False, True

    def tell(self, news: Announcement, at: float) -> None:
        """A batch was counted at that time, seconds since 1970."""
        if self.picture and not self.stale:
            self.stale = not self.picture.take(news, at)
            self._dirty = self._counted = True

    def check(self, found: str) -> None:
        """The cursor in Redis; twice another than ours, and no announcement since: one was lost."""
        ours = self.picture.cursor if self.picture else found
        self.stale = self.stale or self._differed == ours != found
        self._differed = "" if ours == found else ours

    def due(self) -> float:
        """Seconds until the next frame may have to be drawn."""
        then = self._sent + APART if self._dirty else self._drawn + LOOK
        return then - time.monotonic()

    def draw(self, now: datetime, beside: dict[str, Any]) -> None:
        """Publish a frame where something has changed, or nothing was sent for long.

        `beside` is what a frame tells besides the counters; its `lag` is the backlog's.
        """
        if self.due() > 0:
            return
        if self.picture is None:
            self._drawn = time.monotonic()
            self._wake()  # no frame yet, but those who wait have a beat to send
            return
        frame = self.picture.frame(now) | beside
        frame["top"] = {name: rows for name, rows in frame["top"].items() if name not in self._hidden}
        if self._counted:
            newest = order(self.picture.cursor)[0] / 1000
            frame["lag"] = round(max(beside["lag"], now.timestamp() - newest), 3)
        self._drawn = time.monotonic()
        told = {name: part for name, part in frame.items() if name not in PASSING}
        if told != self._shown or self._drawn - self._sent >= QUIET:
            self._publish(frame)
            self._shown, self._sent = told, self._drawn
        self._dirty = self._counted = False

    def _publish(self, frame: dict[str, Any]) -> None:
        self.message = str(Message(dump(frame), type="frame", id=frame["cursor"])).encode()
        self._wake()

    def close(self) -> None:
        """End the streams that follow it."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, Event()
        news.set()

    def wait(self, seen: bytes) -> bytes:
        """The newest message: at once where it is not the one seen, else within QUIET + LOOK seconds."""
        if self.message is seen and not self.closed:
            self._news.wait()
        return self.message
