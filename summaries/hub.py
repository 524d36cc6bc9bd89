"""Hub: one Redis subscription per process keeps up the pictures that somebody is watching."""

import logging
import time
from _socket import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import gevent
from redis import Redis, RedisError, ResponseError

from summaries.buckets import Calendar
from summaries.chosen import Chosen
from summaries.counters import Counters
from summaries.feed import APART, LOOK, Feed
from summaries.health import Checks, Health, Note
from summaries.metrics import VIEWERS
from summaries.pictures import Pictures
from summaries.streams import Streams
from summaries.subscription import Subscription
from summaries.watched import Watched, gone
from tracker.nodes import NodeAway
from tracker.raw import START, RawLog

log = logging.getLogger(__name__)

TICK = 0.1  # seconds the hub waits for an announcement before it looks who has come, which takes 0.2 ms
LAST = 2.0  # seconds in which streams are ended when the process stops; what is stuck then is cut off

Wish = tuple[str, str, Collection[str]]  # what somebody watches: site, kind of bucket, summaries hidden


class Hub:
    """Feeds by site and kind of bucket. Bound: the walls open, times the sites that exist."""

    def __init__(
        self, redis: Redis, counters: Counters, calendar: Calendar, picked: Chosen, checks: Checks
    ) -> None:
        self._subscription = Subscription(redis)
        self._counters = counters
        self._calendar = calendar
        self._picked = picked
        self._checks = checks
        self._health = Health()  # as it was when Redis was asked last
        self._pictures = Pictures(RawLog(redis), counters, calendar, picked)
        self._sites: dict[str, Watched] = {}
        self._down: datetime | None = None  # since when Redis is out of reach
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._streams = Streams(self._leave)
        self._last = 0.0  # monotonic time until which streams may take to end
        self.viewers = 0
        self.closed = False

    def take(self, connection: socket, wish: Wish, chunked: bool) -> None:
        """Go on with a connection whose head is sent and which does not block, in chunks or as it is."""
        feed = self._enter(*wish)
        if self.closed:
            feed.close()
        self._streams.take(connection, feed, chunked)

    @contextmanager
    def watch(self, wish: Wish) -> Iterator[Feed]:
        """The feed, kept up as long as somebody is in here."""
        feed = self._enter(*wish)
        try:
            yield feed
        finally:
            self._leave(feed)

    def _enter(self, site: str, kind: str, hidden: Collection[str]) -> Feed:
        name = " ".join((kind, *sorted(hidden)))
        feed = self._sites.setdefault(site, Watched()).feeds.setdefault(name, Feed(site, kind, hidden))
        self._count(feed, 1)
        if self._greenlet is None and not self.closed:
            self._greenlet = gevent.spawn(self._run)
        return feed

    def _leave(self, feed: Feed) -> None:
        self._count(feed, -1)

    def _count(self, feed: Feed, more: int) -> None:
        feed.viewers += more
        self.viewers += more
        VIEWERS.set(self.viewers)

    def close(self) -> None:
        """End every stream: the process is about to stop."""
        self.closed = True
        self._last = time.monotonic() + LAST
        self._finish()

    def join(self) -> None:
        """Return when those have ended that were handed over, or at the last moment."""
        self._streams.join(self._last)

    def _finish(self) -> None:
        for watched in list(self._sites.values()):  # a signal may do the same meanwhile
            for feed in watched.feeds.values():
                feed.close()
                self._streams.tell(feed)
        self._sites.clear()
        self._greenlet = None

    def _run(self) -> None:
        """Until nobody watches. Should it fail, the streams end, and who connects again starts it."""
        try:
            self._keep_up()
        finally:
            self._finish()
            self._subscription.close()

    def _keep_up(self) -> None:
        pause = TICK
        while self.viewers and not self.closed:
            try:
                self._subscription.prune(self._sites)
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

    def _listen(self) -> None:
        """Take in announcements, until there are none for a moment or a frame is due."""
        apart = self._streams.apart(APART)
        dues = [feed.due(apart) for w in [*self._sites.values()] for feed in w.feeds.values() if feed.picture]
        self._subscription.listen(self._sites, max(0.0, min([TICK, *dues])))

    def _lost(self, error: RedisError) -> None:
        if self._down is None:
            self._down = datetime.now(UTC)
            log.warning("walls stand still: %s", error)
        for watched in self._sites.values():
            watched.asked = watched.heard = False
        self._subscription.close()

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
            if feed.wants(bucket):
                rate, begun = feed.picture.rate if feed.picture else None, time.monotonic()
                picture = self._pictures.read(name, bucket, self._picked.hooks, rate, now)
                feed.show(picture, time.monotonic() - begun)
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
                if feed.draw(now, beside, self._streams.apart(APART)):
                    self._streams.tell(feed)

    def _notes(self, watched: Watched, now: datetime) -> list[Note]:
        since = self._down or watched.down
        return gone(since) if since else watched.notes(now)
