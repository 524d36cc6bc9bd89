"""A part of the sites in each round, and each of them in time."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event

from redis import Redis

from summaries.counting import Counting
from summaries.lease import Lease
from summaries.mending import Mending
from summaries.patrol import Patrol
from summaries.retention import Retention
from summaries.rounds import PARTS, Rounds
from tests.hits import SITE, hit
from tracker import keys
from tracker.raw import RawLog
from tracker.settings import Settings

SITES = [f"site-{n}.example" for n in range(100)]
HOUR = 3600.0


def test_each_has_its_turn_once_in_a_period_however_many_there_are() -> None:
    patrol = Patrol(HOUR, HOUR / 30)
    rounds = [patrol.next(SITES) for _ in range(40)]
    assert [site for turn in rounds for site in turn] == SITES
    assert max(map(len, rounds)) == 4
    assert Patrol(HOUR, HOUR / 30).next([]) == []


def test_who_is_not_done_is_first_in_the_next_round_and_nobody_is_left_out() -> None:
    patrol = Patrol(HOUR, HOUR / 100)
    seen = []
    for number in range(105):
        [site] = patrol.next(SITES) or [""]
        seen.append(site)
        if number < 3:
            patrol.again(site)
    assert seen == [*SITES[:1] * 4, *SITES[1:], "", ""]


@dataclass
class Forgetful(Counting):
    """Says how long its log was after each time that it has forgotten some."""

    lengths: list[int] = field(default_factory=list)

    def forget(self, site: str, now: datetime, parts: float = 0) -> bool:
        more = super().forget(site, now, parts)
        if site == SITE:
            self.lengths.append(self.raw.length(site))
        return more


def test_a_log_that_is_far_too_long_is_forgotten_in_parts_between_which_others_are_counted(
    redis: Redis,
) -> None:
    settings = Settings(keep_raw_max=100)
    counting = Forgetful.of(settings, redis)
    assert isinstance(counting, Forgetful)
    RawLog(redis).append(SITE, [hit(at=datetime.now(UTC)) for _ in range(1000 * PARTS * 2 + 500)], "test", 1)
    last = counting.raw.before(SITE, "+", 1)[0][0]
    redis.hset(keys.cursor(SITE), mapping=dict.fromkeys(counting.hooks, last))
    stop = Event()
    rounds = Rounds(
        counting, Mending.of(settings, redis, stop), Retention(redis, counting.calendar), Lease(redis), stop
    )
    rounds._tidies = Patrol(HOUR, HOUR)
    for _ in range(4):
        rounds._each(rounds._tidies.next([SITE]), rounds._tidy)
    assert counting.lengths == [1000 * PARTS + 500, 500, 100]
