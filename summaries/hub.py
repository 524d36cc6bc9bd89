"""Hub: one Redis subscription per process keeps up the pictures that somebody is watching."""

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import gevent
from redis import Redis, RedisError, ResponseError

from summaries.buckets import Calendar
from summaries.chosen import Chosen
from summaries.counters import FOREIGN, Counters, announcement
from summaries.feed import LOOK, Feed
from summaries.health import Checks, Health, Note
from summaries.metrics import VIEWERS
from summaries.pictures import Pictures
from summaries.watched import Watched, gone
from tracker import keys
from tracker.nodes import NodeAway
from tracker.raw import START, RawLog

log = logging.getLogger(__name__)

TICK = 0.05  # seconds the hub waits for an announcement before it looks around


class Hub:
    """Feeds by site and kind of bucket. Bound: the walls open, times the sites that exist."""

    def __init__(
        self, redis: Redis, counters: Counters, calendar: Calendar, picked: Chosen, checks: Checks
    ) -> None:
        self._pubsub = redis.pubsub()  # type: ignore[no-untyped-call]
        self._counters = counters
        self._calendar = calendar
        self._picked = picked
        self._checks = checks
        self._health = Health()  # as it was when Redis was asked last
        self._pictures = Pictures(RawLog(redis), counters, calendar, picked)
        self._sites: dict[str, Watched] = {}
        self._down: datetime | None = None  # since when Redis is out of reach
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self.viewers = 0
        self.closed = False

    @contextmanager
    def watch(self, site: str, kind: str, hidden: Collection[str] = ()) -> Iterator[Feed]:
        """The feed of a site without the summaries hidden, kept up as long as somebody is in here."""
        name = " ".join((kind, *sorted(hidden)))
        feed = self._sites.setdefault(site, Watched()).feeds.setdefault(name, Feed(site, kind, hidden))
        feed.viewers += 1
        self.viewers += 1
        VIEWERS.set(self.viewers)
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)
        try:
            yield feed
        finally:
            feed.viewers -= 1
            self.viewers -= 1
            VIEWERS.set(self.viewers)

    def close(self) -> None:
        """End every stream: the process is about to stop."""
        self.closed = True
        self._end()

    def _end(self) -> None:
        for watched in self._sites.values():
            watched.close()
        self._sites.clear()
        self._greenlet = None

    def _run(self) -> None:
        """Until nobody watches. Should it fail, the streams end, and who connects again starts it."""
        try:
            self._keep_up()
        finally:
            self._end()
            self._pubsub.close()

    def _keep_up(self) -> None:
        pause = TICK
        while self.viewers and not self.closed:
            try:
                self._prune()
                self._listen()
                self._refresh()
                self._health = self._checks.now()
                self._back()
                pause = TICK
            except RedisError as error:
                self._lost(error)
                gevent.sleep(pause)
                pause = min(1.0, pause * 2)
            self._draw()

    def _prune(self) -> None:
        """Subscribe to what somebody has begun to watch, leave what nobody watches any more."""
        for name, watched in list(self._sites.items()):
            watched.feeds = {kind: feed for kind, feed in watched.feeds.items() if feed.viewers}
            if not watched.feeds:
                del self._sites[name]
                self._pubsub.unsubscribe(keys.live(name))
            elif not watched.asked:
                self._pubsub.subscribe(keys.live(name))
                watched.asked = True

    def _listen(self) -> None:
        """Take in announcements, until there are none for a moment or a frame is due."""
        dues = [feed.due() for w in self._sites.values() for feed in w.feeds.values() if feed.picture]
        message = self._pubsub.get_message(timeout=max(0.0, min([TICK, *dues])))
        while message:
            watched = self._sites.get(keys.site_of(message["channel"].decode()))
            if watched:
                self._take(watched, message)
            message = self._pubsub.get_message(timeout=0)

    def _take(self, watched: Watched, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            watched.heard = True  # perhaps again, after a cut: what was told meanwhile is lost
            watched.spoil()
        elif message["type"] == "message":
            try:
                watched.tell(announcement(message["data"]))
            except FOREIGN as error:
                log.warning("what came on the channel is no announcement: %r", error)
                watched.spoil()

    def _lost(self, error: RedisError) -> None:
        if self._down is None:
            self._down = datetime.now(UTC)
            log.warning("walls stand still: %s", error)
        for watched in self._sites.values():
            watched.asked = watched.heard = False
        self._pubsub.close()

    def _back(self) -> None:
        if self._down is not None:
            self._down = None
            log.warning("walls go on")

    def _refresh(self) -> None:
        """Bring every site up to date; one that cannot be read, its node away for one, stands still alone."""
        now = datetime.now(UTC)
        for name, watched in list(self._sites.items()):
            try:
                if watched.heard:
                    self._update(name, watched, now)
                watched.down = None
            except (NodeAway, ResponseError):
                watched.down = watched.down or now
                watched.spoil()

    def _update(self, name: str, watched: Watched, now: datetime) -> None:
        """Read what is stale or of a bucket that is over; look at what no announcement tells."""
        for feed in list(watched.feeds.values()):
            bucket = self._calendar.bucket(feed.kind, now)
            if feed.stale or feed.picture is None or feed.picture.bucket != bucket:
                rate = feed.picture.rate if feed.picture else None
                feed.show(self._pictures.read(name, bucket, self._picked.hooks, rate, now))
        if time.monotonic() - watched.looked >= LOOK:
            watched.looked = time.monotonic()
            self._look(name, watched, now)

    def _look(self, name: str, watched: Watched, now: datetime) -> None:
        """Active visitors, the backlog, and whether an announcement has failed to come."""
        watched.active = self._counters.active(name, now)
        watched.failures = self._counters.failures(name, now)
        found = self._counters.cursors(name).get("server", START)
        watched.lag = self._pictures.lag(name, found, now)
        for feed in watched.feeds.values():
            feed.check(found)

    def _draw(self) -> None:
        now = datetime.now(UTC)
        found = replace(self._health, spool=self._checks.spool())
        notes = self._checks.notes(found, now)
        for watched in list(self._sites.values()):
            beside = {
                "active": watched.active,
                "lag": watched.lag,
                "watching": sum(feed.viewers for feed in watched.feeds.values()),
                "canary": self._checks.to_screen(found, now),
                "notes": self._notes(watched, now) + notes,
            }
            for feed in list(watched.feeds.values()):
                feed.draw(now, beside)

    def _notes(self, watched: Watched, now: datetime) -> list[Note]:
        since = self._down or watched.down
        return gone(since) if since else watched.notes(now)
