"""What a wall is told besides its numbers."""

from datetime import timedelta

from summaries.watched import LAGGING, Watched, gone
from tests.hits import NOW


def test_law_11_hits_that_wait_long_to_be_counted_are_told_with_since_when() -> None:
    assert Watched(lag=LAGGING).notes(NOW) == []
    assert Watched(lag=61.2).notes(NOW) == [{"what": "behind", "since": "2126-11-21T06:30:09+00:00"}]


def test_law_4_a_hook_that_fails_is_shown() -> None:
    (note,) = Watched(failures={"section": 3}).notes(NOW)
    assert note["what"].startswith("The summary section lacks 3 hits of today")


def test_that_redis_is_gone_is_told_with_since_when() -> None:
    since = NOW + timedelta(milliseconds=700)
    assert gone(since) == [{"what": "redis", "since": "2126-11-21T06:31:11+00:00"}]
