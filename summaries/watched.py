"""Watched: a site that somebody watches, its feeds by kind of bucket."""

import time
from dataclasses import dataclass, field

from summaries.counters import Announcement
from summaries.feed import Feed


@dataclass
class Watched:
    """A site that somebody watches, and what the last look has found besides its counters."""

    feeds: dict[str, Feed] = field(default_factory=dict)  # by kind of bucket
    asked: bool = False  # subscribed to; `heard` once Redis has confirmed it
    heard: bool = False
    looked: float = float("-inf")
    active: int = 0
    lag: float = 0.0  # age of the oldest hit that is not counted, seconds

    def tell(self, news: Announcement) -> None:
        for feed in self.feeds.values():
            feed.tell(news, time.time())

    def close(self) -> None:
        for feed in self.feeds.values():
            feed.close()

    def spoil(self) -> None:
        """All pictures have to be read anew."""
        for feed in self.feeds.values():
            feed.stale = True
