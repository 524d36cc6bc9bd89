"""Watched: a site that somebody watches, its feeds by kind of bucket."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from summaries.counters import UNREADABLE, Announcement
from summaries.feed import Feed
from summaries.health import Note

LAGGING = 5.0  # seconds that hits may wait to be counted before the walls say so


@dataclass
class Watched:
    """A site that somebody watches, and what the last look has found besides its counters."""

    feeds: dict[str, Feed] = field(default_factory=dict)  # by kind of bucket and what they hide
    asked: bool = False  # subscribed to; `heard` once Redis has confirmed it
    heard: bool = False
    down: datetime | None = None  # since when its node of the cluster is away
    looked: float = float("-inf")
    active: int = 0
    lag: float = 0.0  # age of the oldest hit that is not counted, seconds
    failures: dict[str, int] = field(default_factory=dict)  # summary -> hits of today its hook failed on

    def tell(self, news: Announcement) -> None:
        for feed in self.feeds.values():
            feed.tell(news, time.time())

    def spoil(self) -> None:
        """All pictures have to be read anew."""
        for feed in self.feeds.values():
            feed.stale = True

    def notes(self, now: datetime) -> list[Note]:
        """What is wrong with the numbers."""
        found: list[Note] = [{"what": _lack(name, hits)} for name, hits in self.failures.items()]
        if self.lag > LAGGING:
            since = datetime.fromtimestamp(int(now.timestamp() - self.lag), UTC)
            found.append({"what": "behind", "since": since.isoformat()})
        return found


def _lack(name: str, hits: int) -> str:
    if name == UNREADABLE:
        return f"{hits} entries of today's raw log cannot be read, they count nowhere"
    return f"The summary {name} lacks {hits} hits of today, its hook failed on them"


def gone(since: datetime) -> list[Note]:
    """Redis is out of reach since then."""
    return [{"what": "redis", "since": since.isoformat(timespec="seconds")}]
