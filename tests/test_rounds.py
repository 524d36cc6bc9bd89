"""Rounds: a look at every site, in parts that hold up nobody."""

from dataclasses import dataclass, field
from threading import Event

from redis import Redis

from summaries.counting import Counting
from summaries.lease import Lease
from summaries.mending import Mending
from summaries.retention import Retention
from summaries.rounds import IDLE, LOOK, Rounds
from tracker.settings import Settings

SITES = [f"site-{n}.example" for n in range(1000)]


@dataclass
class Told(Mending):
    """Says which sites it has looked at."""

    looked: list[str] = field(default_factory=list)

    def look(self, site: str) -> None:
        self.looked.append(site)


def test_a_thousand_sites_are_looked_at_in_parts_and_each_once(redis: Redis) -> None:
    counting, told = Counting.of(Settings(), redis), Told.of(Settings(), redis, Event())
    assert isinstance(told, Told)
    rounds = Rounds(counting, told, Retention(redis, counting.calendar), Lease(redis), Event())
    parts = []
    while len(told.looked) < len(SITES):
        before = len(told.looked)
        rounds._look(SITES)
        parts.append(len(told.looked) - before)
    assert told.looked == SITES
    assert max(parts) <= len(SITES) * IDLE / LOOK + 1
