"""A feed: when there is a message, and what is in it."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from summaries import feed as module
from summaries.announcement import Announcement
from summaries.counters import Snapshot
from summaries.feed import APART, BEAT, COMMENT, END, LOOK, QUIET, READING, Feed
from summaries.frame import PERSONAL, Picture, Rate
from summaries.tally import Tally
from tests.clock import ByHand
from tests.hits import NOW, SITE
from tests.test_frame import UTC_CALENDAR, tally

HOUR = "hour:2126-11-21T06"
BESIDE: dict[str, Any] = {"active": 0, "lag": 0.0, "watching": 1, "canary": None, "notes": []}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ByHand:
    clock = ByHand()
    monkeypatch.setattr(module, "time", clock)
    return clock


def picture() -> Picture:
    tallies: dict[tuple[str, str], Tally] = {
        (name, HOUR): tally((label, 1, 0)) for name, label in (("server", SITE), ("url", "/"), ("ip", "::1"))
    }
    cursors = dict.fromkeys(("server", "url", "ip"), "5-0")
    return Picture(SITE, HOUR, UTC_CALENDAR, Snapshot(cursors, tallies), [], Rate(0.0))


def watched(*hidden: str) -> Feed:
    feed = Feed(SITE, "hour", hidden)
    feed.show(picture())
    return feed


def draw(feed: Feed, **beside: Any) -> bool:
    return feed.draw(NOW, BESIDE | beside)


def frame(feed: Feed) -> Any:
    [data] = [line for line in feed.message.splitlines() if line.startswith(b"data:")]
    return json.loads(data[5:])


def news(hits: int) -> Announcement:
    return Announcement(
        ["server"], "5-0", "6-0", 1, "[]", [("server", HOUR, 1, False, [(SITE, hits, 0)])], False
    )


def test_a_message_is_an_event_whose_id_is_the_cursor_and_the_same_as_a_chunk(clock: ByHand) -> None:
    feed = watched()
    assert draw(feed)
    assert feed.message.startswith(b"event:frame\ndata:{")
    assert feed.message.endswith(b"\nid:5-0\n\n")
    assert feed.chunk == b"%x\r\n%b\r\n" % (len(feed.message), feed.message)


def test_a_batch_makes_a_frame_at_once_and_another_no_sooner_than_they_may_be_apart(clock: ByHand) -> None:
    feed = watched()
    assert draw(feed)
    clock.now += APART
    feed.tell(news(2), 0.0)
    assert feed.due() == 0
    assert feed.due(2 * APART) == APART
    assert not feed.draw(NOW, BESIDE, 2 * APART)
    assert feed.draw(NOW, BESIDE, APART)
    assert frame(feed)["hits"] == 2


def test_a_picture_that_took_long_to_read_is_read_again_no_sooner_than_its_share_of_the_time(
    clock: ByHand,
) -> None:
    feed = Feed(SITE, "hour")
    assert feed.wants(HOUR)
    feed.show(picture(), 0.05)
    assert not feed.wants(HOUR)
    feed.stale = True
    assert not feed.wants(HOUR)
    clock.now += 0.05 / READING
    assert feed.wants(HOUR)
    feed.show(picture(), 60.0)
    assert not feed.wants("hour:2126-11-21T07")
    clock.now += LOOK
    assert feed.wants("hour:2126-11-21T07")


def test_time_alone_makes_no_frame_until_a_sign_of_life_is_due(clock: ByHand) -> None:
    feed = watched()
    begun = clock.now
    assert draw(feed)
    while clock.now < begun + QUIET - LOOK:
        clock.now += LOOK
        assert not feed.draw(NOW + timedelta(seconds=clock.now - begun), BESIDE | {"lag": 0.5})
    clock.now += LOOK
    assert draw(feed)
    clock.now += LOOK
    assert draw(feed, active=1)  # which is news


def test_law_6_a_frame_that_time_alone_has_changed_keeps_no_hit_waiting(clock: ByHand) -> None:
    feed = watched()
    assert draw(feed)
    clock.now += LOOK
    assert draw(feed, active=1)
    feed.tell(news(2), 0.0)
    assert draw(feed, active=1)
    assert frame(feed)["hits"] == 2
    feed.tell(replace(news(3), start="6-0", end="7-0"), 0.0)
    assert feed.due() == APART
    assert not draw(feed, active=2)


def test_a_comment_comes_every_15_s_with_a_picture_or_without(clock: ByHand) -> None:
    for feed in (watched(), Feed(SITE, "hour")):
        last, longest = clock.now, 0.0
        for _ in range(400):
            clock.now += APART
            if draw(feed) and feed.message.startswith(COMMENT):
                longest, last = max(longest, clock.now - last), clock.now
        assert LOOK < longest <= BEAT
        assert last > clock.now - BEAT


def test_law_12_what_is_hidden_is_in_no_frame(clock: ByHand) -> None:
    open_to_all, strangers = watched(), watched(*PERSONAL)
    draw(open_to_all)
    draw(strangers)
    assert (set(frame(open_to_all)["top"]), set(frame(strangers)["top"])) == ({"url", "ip"}, {"url"})


def test_a_feed_that_is_closed_has_an_end_and_keeps_nobody_waiting(clock: ByHand) -> None:
    feed = watched()
    draw(feed)
    feed.close()
    assert (feed.wait(feed.message), feed.message, feed.chunk) == (b"", b"", END)
