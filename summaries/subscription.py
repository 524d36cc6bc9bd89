"""Subscription: the one of a process, to the announcements of the sites that somebody watches."""

import logging
from collections.abc import MutableMapping
from typing import Any

from redis import Redis

from summaries.counters import FOREIGN, announcement
from summaries.watched import Watched
from tracker import keys

log = logging.getLogger(__name__)

Sites = MutableMapping[str, Watched]


class Subscription:
    """Tells the sites that are watched what is announced of them. Raises RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._pubsub = redis.pubsub()  # type: ignore[no-untyped-call]

    def prune(self, sites: Sites) -> None:
        """Subscribe to what somebody has begun to watch, leave what nobody watches any more."""
        for name, watched in list(sites.items()):
            watched.feeds = {kind: feed for kind, feed in watched.feeds.items() if feed.viewers}
            if not watched.feeds:
                sites.pop(name, None)  # a signal may have ended all
                self._pubsub.unsubscribe(keys.live(name))
            elif not watched.asked:
                self._pubsub.subscribe(keys.live(name))
                watched.asked = True

    def listen(self, sites: Sites, seconds: float) -> None:
        """Take in announcements, until there are none any more; wait so long for the first."""
        message = self._pubsub.get_message(timeout=seconds)
        while message:
            watched = sites.get(keys.site_of(message["channel"].decode()))
            if watched:
                _take(watched, message)
            message = self._pubsub.get_message(timeout=0)

    def close(self) -> None:
        """Hear nothing any more; the next `prune` begins anew."""
        self._pubsub.close()


def _take(watched: Watched, message: dict[str, Any]) -> None:
    if message["type"] == "subscribe":
        watched.heard = True  # perhaps again, after a cut: what was told meanwhile is lost
        watched.spoil()
    elif message["type"] == "message":
        try:
            watched.tell(announcement(message["data"]))
        except FOREIGN as error:
            log.warning("what came on the channel is no announcement: %r", error)
            watched.spoil()
