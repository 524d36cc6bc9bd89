"""Watch: keeps the picture of one site and bucket up to date from Redis, for a wall in a terminal."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import RedisError

from hitwall.asking import Asking
from hitwall.terminal import SUMMARIES, State
from hitwall.wording import age
from summaries.chosen import chosen
from summaries.counters import FOREIGN, Counters, announcement
from summaries.frame import Picture
from summaries.pictures import Pictures
from summaries.watched import LAGGING
from tracker import keys
from tracker.raw import START, RawLog

APART = 0.25  # seconds between two pictures at least
TICK = 0.1  # seconds for which news are waited for; a key waits as long
LOOK = 1.0  # seconds between two looks at what no announcement tells


@dataclass
class View:
    """What is watched, and what is known of it."""

    site: str
    kind: str
    picture: Picture | None = None
    active: int = 0
    lag: float = 0.0
    stale: bool = True  # the picture has to be read
    down: datetime | None = None  # since when Redis is out of reach
    looked: float = field(default=float("-inf"))
    differed: str = ""  # Redis' cursor at the last look, where it was not ours


class Watch:
    """Reads what one view needs, and takes in what counters announce."""

    def __init__(self, asking: Asking, view: View) -> None:
        settings, redis = asking.settings, asking.redis
        picked = chosen(settings)
        self.view = view
        self.zone = settings.timezone
        self._calendar = asking.questions.calendar
        self._names = [name for name in SUMMARIES if name in picked.hooks]
        self._counters = Counters(redis, self._calendar, settings.max_labels)
        self._pictures = Pictures(RawLog(redis), self._counters, self._calendar, picked)
        self._redis = redis
        self._pubsub = redis.pubsub()  # type: ignore[no-untyped-call]
        self._channel = ""

    def turn(self, site: str, kind: str) -> None:
        """Watch something else."""
        self.view = View(site, kind)

    def step(self) -> None:
        """Wait a moment for news, then be up to date; or know since when that cannot be."""
        try:
            self._subscribe()
            self._listen()
            self.refresh(datetime.now(UTC))
            self.view.down = None
        except RedisError:
            self.view.down = self.view.down or datetime.now(UTC)
            self.view.stale, self._channel = True, ""
            self._pubsub.close()
            time.sleep(TICK)

    def _subscribe(self) -> None:
        wanted = keys.live(self.view.site)
        if self._channel != wanted:
            if self._channel:
                self._pubsub.unsubscribe()
            self._pubsub.subscribe(wanted)
            self._channel = wanted

    def _listen(self) -> None:
        message = self._pubsub.get_message(timeout=TICK)
        while message:
            if message["channel"] == self._channel.encode():
                self._take(message)
            message = self._pubsub.get_message(timeout=0)

    def _take(self, message: dict[str, Any]) -> None:
        view = self.view
        if message["type"] == "subscribe":  # perhaps again: what was told meanwhile is lost
            view.stale = True
        elif message["type"] == "message" and view.picture:
            try:
                view.stale |= not view.picture.take(announcement(message["data"]), time.time())
            except FOREIGN:
                view.stale = True

    def refresh(self, now: datetime) -> None:
        """Read what is stale or of a bucket that is over; look once a second whether news failed to come."""
        view = self.view
        bucket = self._calendar.bucket(view.kind, now)
        if view.stale or view.picture is None or view.picture.bucket != bucket:
            rate = view.picture.rate if view.picture else None
            view.picture = self._pictures.read(view.site, bucket, self._names, rate, now)
            view.stale = False
        if time.monotonic() - view.looked >= LOOK:
            view.looked = time.monotonic()
            cursor = self._counters.cursors(view.site).get("server", START)
            view.active = self._counters.active(view.site, now)
            view.lag = self._pictures.lag(view.site, cursor, now)
            differs = cursor if cursor != view.picture.cursor else ""
            view.stale = differs != "" and differs == view.differed  # the announcement is not just on its way
            view.differed = differs

    def frame(self, now: datetime) -> dict[str, Any] | None:
        """All that is drawn; None while nothing has been read."""
        picture = self.view.picture
        return {**picture.frame(now), "active": self.view.active} if picture else None

    def frames(self) -> Iterator[dict[str, Any]]:
        """What is drawn now, and then whenever it has changed, at most every APART seconds."""
        self.refresh(datetime.now(UTC))
        told: dict[str, Any] = {}
        while True:
            frame = self.frame(datetime.now(UTC))
            if frame and {**frame, "at": ""} != told:
                told = {**frame, "at": ""}
                yield frame
                time.sleep(APART)
            self.step()

    def state(self, now: datetime, keys: bool) -> State:
        """How true that is; `keys` where there is a keyboard."""
        view = self.view
        if view.down:
            return State(now, self.zone, f"Redis is out of reach, {age(view.down, now)}", "red", keys)
        if view.lag > LAGGING:
            behind = age(now - timedelta(seconds=view.lag), now)
            return State(now, self.zone, f"counter is {behind} behind", "yellow", keys)
        return State(now, self.zone, keys=keys)
