"""Requests that arrive together are stored together, each hit once."""

from collections.abc import Callable, Sequence

import gevent
import pytest
from gevent.event import Event
from redis import ConnectionError, Redis

from tests.hits import SITE, hit
from tracker import group_commit
from tracker.group_commit import GroupCommit, NotStored
from tracker.hit import Hit
from tracker.raw import SEEN, START, RawLog


class Watched(RawLog):
    """The real raw log; writes down the size of each append and does something before and after."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.sizes: list[int] = []
        self.beforehand: Callable[[], None] = lambda: None
        self.afterwards: Callable[[], None] = lambda: None

    def append(self, site: str, hits: Sequence[Hit], source: str, position: int, keep: int = SEEN) -> int:
        self.sizes.append(len(hits))
        self.beforehand()
        appended = super().append(site, hits, source, position, keep)
        self.afterwards()
        return appended


@pytest.fixture
def raw(redis: Redis) -> Watched:
    return Watched(redis)


def stored(raw: RawLog, site: str = SITE) -> list[str]:
    return [found.path if found else "?" for _, found in raw.after(site, START, 10_000)]


def failing(times: int) -> Callable[[], None]:
    """Raises a ConnectionError the first times it is called."""
    errors = [ConnectionError("cut off")] * times

    def fail() -> None:
        if errors:
            raise errors.pop()

    return fail


def begins(under_way: Event, go_on: Event) -> Callable[[], None]:
    """Tells that an append has begun and waits until it may go on."""

    def begin() -> None:
        under_way.set()
        go_on.wait(10)

    return begin


def together(commit: GroupCommit, hits: Sequence[Hit]) -> "list[gevent.Greenlet[..., None]]":
    """Each hit in a greenlet of its own; all have ended."""
    greenlets = [gevent.spawn(commit.append, each) for each in hits]
    gevent.joinall(greenlets, timeout=10)
    assert all(greenlet.dead for greenlet in greenlets)
    return greenlets


def test_hits_that_arrive_while_an_append_is_under_way_go_together_in_the_next(raw: Watched) -> None:
    commit = GroupCommit(raw)
    under_way, go_on = Event(), Event()
    raw.beforehand = begins(under_way, go_on)
    first = gevent.spawn(commit.append, hit("/first"))
    assert under_way.wait(10)
    rest = [gevent.spawn(commit.append, hit(f"/{n}")) for n in range(200)]
    gevent.sleep(0)
    go_on.set()
    gevent.joinall([first, *rest], timeout=10, raise_error=True)
    assert raw.sizes == [1, 200]
    assert stored(raw) == ["/first", *(f"/{n}" for n in range(200))]


def test_law_1_a_hit_is_answered_only_when_it_is_stored(raw: Watched) -> None:
    commit = GroupCommit(raw)
    seen: list[list[str]] = []
    raw.beforehand = lambda: seen.append(stored(raw))
    for path in ("/a", "/b"):
        commit.append(hit(path))
        assert stored(raw)[-1] == path
    assert seen == [[], ["/a"]]


def test_law_2_an_append_whose_answer_was_lost_is_tried_again_and_does_not_double(raw: Watched) -> None:
    commit = GroupCommit(raw)
    raw.afterwards = failing(2)
    greenlets = together(commit, [hit("/a"), hit("/b", site="other.example"), hit("/c")])
    assert [greenlet.exception for greenlet in greenlets] == [None] * 3
    assert (stored(raw), stored(raw, "other.example")) == (["/a", "/c"], ["/b"])
    assert len(raw.sizes) == 4  # twice in vain, then both sites
    commit.append(hit("/d"))
    assert stored(raw) == ["/a", "/c", "/d"]


def test_two_processes_are_two_sources(redis: Redis) -> None:
    one, two = (GroupCommit(RawLog(redis)) for _ in range(2))
    for n in range(3):
        one.append(hit(f"/one/{n}"))
        two.append(hit(f"/two/{n}"))
    assert stored(RawLog(redis)) == [f"/{name}/{n}" for n in range(3) for name in ("one", "two")]


def test_hits_that_cannot_be_stored_in_time_are_refused_and_later_ones_stored(
    raw: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "DEADLINE", 0.1)
    commit = GroupCommit(raw)
    raw.beforehand = failing(1000)
    with pytest.raises(NotStored, match="out of reach"):
        commit.append(hit("/lost"))
    tries = len(raw.sizes)
    assert tries > 1
    with pytest.raises(NotStored, match="out of reach"):
        commit.append(hit("/lost, too"))
    assert len(raw.sizes) == tries + 1  # while it is known to be away, one try is enough
    raw.beforehand = lambda: None
    commit.append(hit("/later"))
    assert stored(raw) == ["/later"]


def test_a_store_that_hangs_holds_nobody_for_long(raw: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "DEADLINE", 0.05)
    hanging, over = Event(), Event()
    raw.beforehand = begins(Event(), hanging)
    raw.afterwards = over.set
    with pytest.raises(NotStored, match="too long"):
        GroupCommit(raw).append(hit())
    hanging.set()
    assert over.wait(10)  # else it would be stored under the next test's eyes


def test_law_10_no_more_hits_wait_than_the_bound(raw: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MOST_WAITING", 3)
    commit = GroupCommit(raw)
    under_way, go_on = Event(), Event()
    raw.beforehand = begins(under_way, go_on)
    first = gevent.spawn(commit.append, hit("/first"))
    assert under_way.wait(10)
    waiting = [gevent.spawn(commit.append, hit(f"/{n}")) for n in range(3)]
    gevent.sleep(0)
    with pytest.raises(NotStored, match="too many"):
        commit.append(hit("/one too many"))
    go_on.set()
    gevent.joinall([first, *waiting], timeout=10, raise_error=True)
    assert stored(raw) == ["/first", "/0", "/1", "/2"]


def test_an_unforeseen_error_does_not_close_the_door_for_ever(
    raw: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "DEADLINE", 0.1)
    commit = GroupCommit(raw)
    with pytest.raises((NotStored, UnicodeEncodeError)):
        commit.append(hit("/\ud800"))  # no door lets it in; it cannot be encoded
    commit.append(hit("/after"))
    assert stored(raw) == ["/after"]
