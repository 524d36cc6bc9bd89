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
READING = 0.1  # of the time for reading pictures anew: while a log is imported, each batch may ask for it
QUIET = 4.0  # seconds after which the next look sends an unchanged frame again, as a sign of life
BEAT = 15.0  # seconds between comment lines at most; proxies that know of no frames wait for them, too
PASSING = {"at", "lag"}  # differ in every frame; alone they are no news
COMMENT = b":\n\n"
END = b"0\r\n\r\n"  # of a stream in chunks


class Feed:
    """A slow viewer gets the newest message when it is ready for one, and never an older."""

    def __init__(self, site: str, kind: str, hidden: Collection[str] = ()) -> None:
        """`hidden`: summaries that its frames do not list."""
        self.site = site
        self.kind = kind
        self._hidden = hidden
        self.viewers = 0
        self.closed = False
        self.message = self.chunk = b""  # the event on the wire, serialised once; the same as a chunk
        self.picture: Picture | None = None
        self.stale = True  # the picture has to be read
        self._dirty = self._counted = False  # changed since the last frame; and by a counted batch
        self._differed = ""  # our cursor, where Redis had another at the last check
        self._shown: Mapping[str, Any] = {}
        self._sent = self._moved = self._drawn = self._rested = float("-inf")  # `_moved`: by news
        self._beaten = time.monotonic()  # who comes is told a comment at once
        self._news = Event()

    def wants(self, bucket: str) -> bool:
        """Whether the picture has to be read now: there is none of the bucket, or it misses something."""
        lacking = self.stale or self.picture is None or self.picture.bucket != bucket
        return lacking and time.monotonic() >= self._rested

    def show(self, picture: Picture, took: float = 0.0) -> None:
        """A picture just read, which took so many seconds."""
        self.picture, self.stale, self._dirty = picture, False, True
        self._rested = time.monotonic() + min(LOOK, took / READING)

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

    def due(self, apart: float = APART) -> float:
        """Seconds until the next frame may have to be drawn; those that tell of news are so far apart.

        One that time alone has changed, at most one a LOOK, keeps no news waiting.
        """
        then = self._moved + apart if self._dirty else self._drawn + LOOK
        return then - time.monotonic()

    def draw(self, now: datetime, beside: dict[str, Any], apart: float = APART) -> bool:
        """Whether there is a new message: something has changed, or nothing was sent for long.

        `beside` is what a frame tells besides the counters; its `lag` is the backlog's.
        """
        if self.due(apart) > 0:
            return False
        self._drawn = time.monotonic()
        if self.picture is None:
            return self._publish(b"")
        frame = self._frame(self.picture, now, beside)
        told = {name: part for name, part in frame.items() if name not in PASSING}
        moved, self._dirty, self._counted = self._dirty, False, False
        if told == self._shown and self._drawn - self._sent < QUIET:
            return False
        self._shown, self._sent = told, self._drawn
        if moved:
            self._moved = self._drawn
        return self._publish(str(Message(dump(frame), type="frame", id=frame["cursor"])).encode())

    def _frame(self, picture: Picture, now: datetime, beside: dict[str, Any]) -> dict[str, Any]:
        frame = picture.frame(now) | beside
        frame["top"] = {name: rows for name, rows in frame["top"].items() if name not in self._hidden}
        if self._counted:
            newest = order(picture.cursor)[0] / 1000
            frame["lag"] = round(max(beside["lag"], now.timestamp() - newest), 3)
        return frame

    def _publish(self, event: bytes) -> bool:
        """The event, after a comment where one is due before the next look; False where there is neither."""
        if self._drawn - self._beaten >= BEAT - QUIET - LOOK:
            self._beaten = self._drawn
            event = COMMENT + event
        if event:
            self._wake(event, b"%x\r\n%b\r\n" % (len(event), event))
        return bool(event)

    def close(self) -> None:
        """End the streams that follow it."""
        self.closed = True
        self._wake(b"", END)

    def _wake(self, message: bytes, chunk: bytes) -> None:
        self.message, self.chunk = message, chunk
        if self.closed:  # just now, perhaps, by a signal: nothing comes after the end
            self.message, self.chunk = b"", END
        news, self._news = self._news, Event()
        news.set()

    def wait(self, seen: bytes) -> bytes:
        """The newest message: at once where it is not the one seen, else when there is another."""
        if self.message is seen and not self.closed:
            self._news.wait()
        return self.message
