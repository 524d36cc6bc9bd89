"""Requests that arrive together are stored together, each hit once; without Redis they wait on disk."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import gevent
import pytest
from gevent import GreenletExit
from gevent.event import Event
from redis import ConnectionError, Redis, ResponseError, TimeoutError

from tests.hits import SITE, hit
from tracker import group_commit, moment
from tracker.group_commit import GroupCommit, NotStored
from tracker.hit import Hit
from tracker.raw import SEEN, START, RawLog
from tracker.replay import Replayer
from tracker.spool import Spool


class Watched(RawLog):
    """The real raw log; writes down the size of each append and does something before and after."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.sizes: list[int] = []
        self.sources: list[str] = []
        self.refused: dict[str, Exception] = {}  # by site
        self.beforehand: Callable[[], None] = lambda: None
        self.afterwards: Callable[[], None] = lambda: None

    def append(self, site: str, hits: Sequence[Hit], source: str, position: int, keep: int = SEEN) -> int:
        self.sizes.append(len(hits))
        self.sources.append(source)
        self.beforehand()
        if site in self.refused:
            raise self.refused[site]
        appended = super().append(site, hits, source, position, keep)
        self.afterwards()
        return appended

    def append_each(self, batches: Sequence[tuple[str, Sequence[Hit], str, int]], keep: int) -> list[bool]:
        def is_taken(batch: tuple[str, Sequence[Hit], str, int]) -> bool:
            with suppress(ResponseError):
                return self.append(*batch, keep) >= 0
            return False

        return [is_taken(batch) for batch in batches]


@pytest.fixture
def raw(redis: Redis) -> Watched:
    return Watched(redis)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path, "door")


@pytest.fixture
def commit(raw: Watched, spool: Spool) -> GroupCommit:
    return GroupCommit(raw, spool)


def stored(raw: RawLog, site: str = SITE) -> list[str]:
    return [found.path if found else "?" for _, found in raw.after(site, START, 10_000)]


def waiting(folder: Path) -> list[tuple[str, int, list[str]]]:
    """Source, position and paths of each batch on disk, as a process finds them that comes later."""
    later = Spool(folder, "door")
    later.adopt()
    found = []
    while batch := later.oldest():
        found.append((batch.source, batch.position, [hit.path for hit in batch]))
        later.settle([False])
    later.close()
    return found


def failing(times: int, error: BaseException | None = None) -> Callable[[], None]:
    """Raises a ConnectionError, or this, the first times it is called."""
    errors: list[BaseException] = [error or ConnectionError("cut off")] * times

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


def test_hits_that_arrive_while_an_append_is_under_way_go_together_in_the_next(
    raw: Watched, commit: GroupCommit
) -> None:
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


def test_law_1_a_hit_is_answered_only_when_it_is_stored(raw: Watched, commit: GroupCommit) -> None:
    seen: list[list[str]] = []
    raw.beforehand = lambda: seen.append(stored(raw))
    for path in ("/a", "/b"):
        commit.append(hit(path))
        assert stored(raw)[-1] == path
    assert seen == [[], ["/a"]]


def test_who_does_not_wait_is_told_in_the_order_of_the_hits_when_they_are_stored(
    raw: Watched, commit: GroupCommit
) -> None:
    told: list[tuple[str, bool, bool]] = []

    def tell(path: str) -> Callable[[bool], None]:
        return lambda is_stored: told.append((path, is_stored, path in stored(raw)))

    for n in range(20):
        commit.add(hit(f"/{n}"), tell(f"/{n}"))
    assert (told, stored(raw)) == ([], [])
    commit.append(hit("/last"))
    assert told == [(f"/{n}", True, True) for n in range(20)]


def test_who_was_told_that_it_takes_too_long_is_not_told_again_and_who_comes_later_is(
    raw: Watched, commit: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moment, "LONGEST", 0.02)
    under_way, go_on = Event(), Event()
    raw.beforehand = begins(under_way, go_on)
    told: list[tuple[str, bool]] = []
    commit.add(hit("/first"), lambda is_stored: told.append(("first", is_stored)))
    assert under_way.wait(10)
    commit.add(hit("/second"), lambda is_stored: told.append(("second", is_stored)))
    with gevent.Timeout(10):
        while len(told) < 2:
            gevent.sleep(0.001)
    monkeypatch.setattr(moment, "LONGEST", 10)
    third = gevent.spawn(commit.append, hit("/third"))  # goes with the second
    gevent.sleep(0)
    go_on.set()
    third.get(timeout=10)
    assert sorted(told) == [("first", False), ("second", False)]
    assert stored(raw) == ["/first", "/second", "/third"]


def test_law_2_an_append_whose_answer_was_lost_is_tried_again_and_does_not_double(
    raw: Watched, commit: GroupCommit
) -> None:
    raw.afterwards = failing(2)
    greenlets = together(commit, [hit("/a"), hit("/b", site="other.example"), hit("/c")])
    assert [greenlet.exception for greenlet in greenlets] == [None] * 3
    assert (stored(raw), stored(raw, "other.example")) == (["/a", "/c"], ["/b"])
    assert len(raw.sizes) == 4  # twice in vain, then both sites
    commit.append(hit("/d"))
    assert stored(raw) == ["/a", "/c", "/d"]


def test_two_processes_are_two_sources(redis: Redis, tmp_path: Path) -> None:
    one, two = (GroupCommit(RawLog(redis), Spool(tmp_path, "door")) for _ in range(2))
    for n in range(3):
        one.append(hit(f"/one/{n}"))
        two.append(hit(f"/two/{n}"))
    assert stored(RawLog(redis)) == [f"/{name}/{n}" for n in range(3) for name in ("one", "two")]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is time for a second try, and no more."""
    monkeypatch.setattr(group_commit, "DEADLINE", group_commit.PAUSE / 2)


@pytest.mark.usefixtures("hasty")
def test_law_7_what_redis_does_not_take_in_time_waits_on_disk_and_is_answered(
    raw: Watched, commit: GroupCommit, tmp_path: Path
) -> None:
    commit.append(hit("/before"))
    raw.beforehand = failing(1000)
    commit.append(hit("/first"))
    assert len(raw.sizes) == 3  # tried twice
    commit.append(hit("/second"))
    commit.append(hit("/other", site="other.example"))
    assert len(raw.sizes) == 3  # while it is known to be away nobody waits for it
    assert stored(raw) == ["/before"]
    commit.spool.close()
    source = raw.sources[0]
    expected = [(source, 2, ["/first"]), (source, 3, ["/second"]), (source, 4, ["/other"])]
    assert waiting(tmp_path) == expected


@pytest.mark.usefixtures("hasty")
def test_after_an_outage_hits_go_on_under_a_new_source_and_what_waits_is_handed_over_once(
    raw: Watched, commit: GroupCommit, tmp_path: Path
) -> None:
    raw.afterwards = failing(1000)
    commit.append(hit("/first"))  # it is there, though nobody knows
    commit.append(hit("/second"))
    raw.afterwards = lambda: None
    commit.outages.end("example.com")
    commit.append(hit("/live"))
    assert stored(raw) == ["/first", "/live"]
    assert raw.sources[-1] not in raw.sources[:-1]
    assert Replayer(raw, commit).round()
    assert stored(raw) == ["/first", "/live", "/second"]
    assert list(tmp_path.iterdir()) == []


def test_a_redis_that_hangs_is_not_tried_twice(raw: Watched, commit: GroupCommit) -> None:
    raw.beforehand = failing(1000, TimeoutError("no answer"))
    commit.append(hit())
    assert raw.sizes == [1]


@pytest.mark.parametrize("what", ["WRONGTYPE of this key", "OOM command not allowed", "NOPERM for this key"])
def test_a_site_that_redis_does_not_take_holds_up_no_other(
    raw: Watched, commit: GroupCommit, tmp_path: Path, what: str
) -> None:
    raw.refused = {"example.com": ResponseError(what)}
    together(commit, [hit("/bad"), hit("/good", site="other.example")])
    commit.append(hit("/bad, too"))
    assert (stored(raw, "other.example"), stored(raw)) == (["/good"], [])
    assert raw.sizes == [1, 1, 1]  # once with the other, once alone
    commit.append(hit("/good, too", site="other.example"))
    assert stored(raw, "other.example") == ["/good", "/good, too"]
    commit.spool.close()
    assert [paths for _, _, paths in waiting(tmp_path)] == [["/bad"], ["/bad, too"]]


@pytest.mark.usefixtures("hasty")
def test_hits_that_neither_redis_nor_the_disk_takes_are_refused_and_later_ones_stored(
    raw: Watched, tmp_path: Path
) -> None:
    commit = GroupCommit(raw, Spool(tmp_path, "door", most=10))
    raw.beforehand = failing(1000)
    for _ in range(2):
        with pytest.raises(NotStored, match="out of reach"):
            commit.append(hit("/lost"))
    raw.beforehand = lambda: None
    assert Replayer(raw, commit).round()  # it looks whether Redis is back
    commit.append(hit("/later"))
    assert stored(raw) == ["/later"]


@pytest.mark.usefixtures("hasty")
def test_an_outage_is_told_once_and_its_end(
    raw: Watched, commit: GroupCommit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    raw.beforehand = failing(1000)
    for n in range(3):
        commit.append(hit(f"/{n}"))
    raw.beforehand = lambda: None
    Replayer(raw, commit).round()
    said = ["Redis takes no hits, they wait on disk (tries: 1): cut off", "Redis takes hits again"]
    assert [record.getMessage() for record in caplog.records] == said


def test_a_disk_that_hangs_holds_nobody_for_ever(
    raw: Watched, commit: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moment, "LONGEST", 0.05)
    hanging, over = Event(), Event()
    raw.beforehand = begins(Event(), hanging)
    raw.afterwards = over.set
    with pytest.raises(NotStored, match="out of reach"):
        commit.append(hit())
    hanging.set()
    assert over.wait(10)  # else it would be stored under the next test's eyes


def test_many_hits_of_one_moment_are_stored_in_order_a_thousand_at_a_time(
    raw: Watched, commit: GroupCommit
) -> None:
    together(commit, [hit(f"/{n}") for n in range(2500)])
    assert raw.sizes == [1000, 1000, 500]
    assert stored(raw) == [f"/{n}" for n in range(2500)]


def test_law_10_no_more_hits_wait_than_the_bound(
    raw: Watched, commit: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MOST_WAITING", 3)
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


def test_an_unforeseen_error_does_not_close_the_door_for_ever(raw: Watched, commit: GroupCommit) -> None:
    with pytest.raises(NotStored):
        commit.append(hit("/\ud800"))  # no door lets it in; it cannot be encoded
    commit.append(hit("/after"))
    assert stored(raw) == ["/after"]


@pytest.mark.parametrize("error", [KeyError, GreenletExit])
def test_hits_that_wait_when_an_unforeseen_error_ends_the_writer_are_stored_by_the_next(
    raw: Watched, commit: GroupCommit, error: type[BaseException]
) -> None:
    under_way, go_on = Event(), Event()
    fail = failing(1, error())

    def begin_and_fail() -> None:
        begins(under_way, go_on)()
        fail()

    raw.beforehand = begin_and_fail
    first = gevent.spawn(commit.append, hit("/first"))
    assert under_way.wait(10)
    waiting = [gevent.spawn(commit.append, hit(f"/{n}")) for n in range(3)]
    gevent.sleep(0)
    go_on.set()
    gevent.joinall([first, *waiting], timeout=moment.LONGEST / 2)
    assert [greenlet.successful() for greenlet in (first, *waiting)] == [False, True, True, True]
    assert stored(raw) == ["/0", "/1", "/2"]


def test_should_telling_one_fail_all_others_are_told(raw: Watched, commit: GroupCommit) -> None:
    told: list[bool] = []

    def fails(is_stored: bool) -> None:
        raise KeyError

    for tell in (told.append, fails, told.append, fails, told.append):
        commit.add(hit("/"), tell)
    commit.append(hit("/last"))
    assert told == [True] * 3
