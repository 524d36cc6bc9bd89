"""Mending: what waits for the raw log is put right, whatever happens to the list of it meanwhile."""

from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest
from redis import Redis

from summaries.buckets import Calendar
from summaries.counting import Counting
from summaries.mending import Mending
from tests.faults.ledger import verify
from tests.hits import FIREFOX, SITE
from tests.service import counted
from tracker import keys
from tracker.foreign import set_aside
from tracker.hit import Hit
from tracker.raw import RawLog
from tracker.settings import Settings

CALENDAR = Calendar.of(Settings())


@pytest.fixture
def counting(redis: Redis) -> Counting:
    """Twenty hits, counted."""
    at = datetime.now(UTC)
    hits = [Hit(at=at, site=SITE, path=f"/{n}", source="pixel", agent=FIREFOX) for n in range(20)]
    RawLog(redis).append(SITE, hits, "test", 1)
    counting = Counting.of(Settings(), redis)
    assert counting.step(SITE).hits == 20
    return counting


def mending(redis: Redis) -> Mending:
    return Mending.of(Settings(), redis, Event())


def stranger(redis: Redis, summary: str, kind: str = "month") -> None:
    """Somebody overwrites that counter, and it is found."""
    key = keys.counter(SITE, "hits", summary, CALENDAR.bucket(kind, datetime.now(UTC)))
    redis.set(key, "theirs")
    set_aside(redis, {key: "counts"})


def test_a_list_of_what_waits_that_is_overwritten_has_every_counter_looked_at(
    redis: Redis, counting: Counting
) -> None:
    stranger(redis, "url")
    stranger(redis, "browser", "day")
    redis.set(keys.holes(SITE), "theirs")
    mending(redis).look(SITE)  # sets it aside
    mending(redis).mend(SITE)
    verify(redis, SITE, Settings())
    assert not redis.exists(keys.holes(SITE))


def test_a_counter_that_is_lost_again_while_it_is_mended_is_mended_again(
    redis: Redis, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger(redis, "url")
    mend = Mending._mend

    def meanwhile(self: Mending, *what: Any) -> None:
        mend(self, *what)
        stranger(redis, "url")  # the same counter, before it is taken off the list

    monkeypatch.setattr(Mending, "_mend", meanwhile)
    mending(redis).mend(SITE)
    assert redis.exists(keys.holes(SITE))
    monkeypatch.undo()
    mending(redis).mend(SITE)
    assert sum(counted(redis, "url").values()) == 20
    verify(redis, SITE, Settings())


def test_cursors_that_are_lost_again_while_their_counters_are_mended_have_them_mended_again(
    redis: Redis, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting.alignment.restore(SITE, ["url"])
    mend = Mending._mend

    def meanwhile(self: Mending, *what: Any) -> None:
        mend(self, *what)
        counting.alignment.restore(SITE, ["url"])

    monkeypatch.setattr(Mending, "_mend", meanwhile)
    mending(redis).mend(SITE)
    assert redis.scard(keys.holes(SITE)) == 1


def test_strangers_words_in_the_list_hold_up_nothing(redis: Redis, counting: Counting) -> None:
    stranger(redis, "url")
    redis.sadd(keys.holes(SITE), "theirs", "url x 7", "url", b"\xff \xff 1", "server day:9999-99-99 1")
    mending(redis).mend(SITE)
    verify(redis, SITE, Settings())
    assert not redis.exists(keys.holes(SITE))
