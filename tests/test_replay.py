"""The replayer: what waits on disk goes to Redis once and in order, whoever left it and whatever fails."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import ConnectionError, Redis, RedisError, ResponseError

from tests.faults.ledger import FULL
from tests.hits import PROPERTY, SITE, hit
from tracker import group_commit, keys, outage, replay
from tracker.group_commit import GroupCommit, NotStored
from tracker.hit import Hit
from tracker.raw import START, RawLog
from tracker.replay import ADOPT, MOST, Replayer
from tracker.spool import Spool
from tracker.storage import Batch

SITES = (SITE, "b.example", "c.example")


def batch(position: int, *paths: str, source: str = "web-1", site: str = SITE) -> Batch:
    return Batch([hit(path, site=site) for path in paths], source, position)


def left(folder: Path, *batches: Batch) -> None:
    """What a process has left that is gone."""
    spool = Spool(folder, "door")
    assert spool.append(*batches)
    spool.close()


def replayer(raw: RawLog, folder: Path) -> Replayer:
    return Replayer(raw, GroupCommit(raw, Spool(folder, "door")))


def stored(redis: Redis, site: str = SITE) -> list[str]:
    return [found.path if found else "?" for _, found in RawLog(redis).after(site, START, 100_000)]


class Refusing(RawLog):
    """The real raw log; raises what it is told to for some sites, and writes down what it was asked."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.errors: dict[str, RedisError] = {}
        self.asked: list[tuple[str, int]] = []

    def append_all(
        self, site: str, batches: Sequence[tuple[int, Sequence[Hit]]], source: str, keep: int
    ) -> int:
        self.asked.append((site, len(batches)))
        if site in self.errors:
            raise self.errors[site]
        return super().append_all(site, batches, source, keep)


def test_what_gone_processes_have_left_is_handed_over_in_order(redis: Redis, tmp_path: Path) -> None:
    left(tmp_path, *(batch(n, f"/one/{n}") for n in range(1, 30)))
    left(tmp_path, *(batch(n, f"/two/{n}", source="web-2") for n in range(1, 30)))
    assert replayer(RawLog(redis), tmp_path).round()
    expected = [f"/{name}/{n}" for name in ("one", "two") for n in range(1, 30)]
    assert sorted(stored(redis)) == sorted(expected)
    for name in ("one", "two"):
        assert [path for path in stored(redis) if name in path] == [path for path in expected if name in path]
    assert list(tmp_path.iterdir()) == []


def test_many_small_batches_go_together_so_that_a_slow_redis_makes_progress(
    redis: Redis, tmp_path: Path
) -> None:
    left(tmp_path, *(batch(n, f"/{n}", site=SITES[n % 2]) for n in range(2 * MOST)))
    raw = Refusing(redis)
    assert replayer(raw, tmp_path).round()
    assert raw.asked == [("b.example", MOST // 2), (SITE, MOST // 2)] * 2
    assert stored(redis) == [f"/{n}" for n in range(0, 2 * MOST, 2)]


def test_law_2_batches_that_redis_has_already_are_passed_over_however_they_are_put_together(
    redis: Redis, tmp_path: Path
) -> None:
    raw = RawLog(redis)
    batches = [batch(n, f"/{n}/a", f"/{n}/b") for n in range(1, 9)]
    for start, end in ((1, 1), (1, 3), (2, 4), (1, 8), (5, 6), (1, 8)):
        raw.append_all(SITE, [(one.position, one) for one in batches[start - 1 : end]], "web-1", 60)
    left(tmp_path, *batches)
    assert replayer(raw, tmp_path).round()
    assert stored(redis) == [hit.path for one in batches for hit in one]


def test_a_batch_that_cannot_go_holds_up_those_of_its_site_and_no_others(
    redis: Redis, tmp_path: Path
) -> None:
    left(tmp_path, *(batch(n, f"/{n}", site=SITES[n % 3]) for n in range(1, 10)))
    left(tmp_path, *(batch(n, f"/later/{n}", source="web-2", site=SITES[n % 3]) for n in range(1, 10)))
    raw = Refusing(redis)
    raw.errors = {SITES[0]: ResponseError("NOPERM no permissions to access a key")}
    ours = replayer(raw, tmp_path)
    assert not ours.round()
    assert [len(stored(redis, site)) for site in SITES] == [0, 6, 6]
    assert raw.asked.count((SITES[0], 3)) == 1  # once a round
    assert not ours.round()
    raw.errors = {}
    assert ours.round()
    assert stored(redis, SITES[0]) == [*(f"/{n}" for n in (3, 6, 9)), *(f"/later/{n}" for n in (3, 6, 9))]
    assert list(tmp_path.iterdir()) == []


def test_while_redis_does_not_answer_it_is_asked_once_a_round(redis: Redis, tmp_path: Path) -> None:
    left(tmp_path, *(batch(n, f"/{n}", site=SITES[n % 3]) for n in range(1, 10)))
    raw = Refusing(redis)
    raw.errors = {site: ConnectionError("away") for site in SITES}
    ours = replayer(raw, tmp_path)
    for rounds in (1, 2):
        assert not ours.round()
        assert len(raw.asked) == rounds
    raw.errors = {}
    assert ours.round()
    assert [len(stored(redis, site)) for site in SITES] == [3, 3, 3]


def test_what_is_none_of_ours_under_a_sites_keys_does_not_hold_it_up(redis: Redis, tmp_path: Path) -> None:
    redis.set(keys.raw(SITE), "not a stream")
    redis.sadd(keys.seen(SITE, "web-1"), "not a position")
    left(tmp_path, batch(1, "/1"))
    assert replayer(RawLog(redis), tmp_path).round()
    assert stored(redis) == ["/1"]


def test_what_is_left_later_is_found_within_a_minute(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ADOPT == 60
    monkeypatch.setattr("tracker.replay.ADOPT", 0.01)
    ours = replayer(RawLog(redis), tmp_path)
    ours.start()
    gevent.sleep(0.02)
    left(tmp_path, batch(1, "/1"))
    with gevent.Timeout(10):
        while not stored(redis):
            gevent.sleep(0.01)
    ours.stop()


class Tricky(RawLog):
    """The real raw log behind a network that may do anything; what it does next is drawn."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.begin(lambda: "stored")

    def begin(self, draw: Callable[[], str]) -> None:
        self._draw = draw
        self.under_way: list[Callable[[], object]] = []  # sent, and not yet arrived

    def append_all(
        self, site: str, batches: Sequence[tuple[int, Sequence[Hit]]], source: str, keep: int
    ) -> int:
        def send() -> int:
            return super(Tricky, self).append_all(site, batches, source, keep)

        fate = self._draw()
        if fate == "arrives late":
            self.under_way.append(send)
        if fate == "answer lost":
            send()
        if fate == "refused":
            raise ResponseError("OOM command not allowed")
        if fate != "stored":
            raise ConnectionError(fate)
        return send()


FATES = ("stored", "stored", "not sent", "answer lost", "arrives late", "refused")
STEPS = ("hits", "hits", "hits", "replay", "replay", "late arrival", "kill", "disk fails", "disk works")


class World:
    """A door, its replayer and their disk, killed and started again; and who was told that a hit is kept."""

    def __init__(self, raw: Tricky, folder: Path, draw: Callable[[Sequence[str]], str]) -> None:
        self.folder = folder
        self.acknowledged: list[tuple[str, str]] = []
        self.raw = raw
        self.raw.begin(lambda: draw(FATES))
        self._draw = draw
        self._numbers = itertools.count()
        self.start()

    def start(self) -> None:
        self.commit = GroupCommit(self.raw, Spool(self.folder, "door"))
        self.replayer = Replayer(self.raw, self.commit)

    def step(self) -> None:
        what = self._draw(STEPS)
        if what == "hits":
            self.hits()
        elif what == "replay":
            self.replayer.round()
        elif what == "late arrival" and self.raw.under_way:
            self.raw.under_way.pop(0)()
        elif what == "kill":
            self.commit.spool.close()  # as the end of a process does
            self.start()
        elif what.startswith("disk"):
            self.commit.spool._most = 0 if what == "disk fails" else 2**20

    def hits(self) -> None:
        """Some of one moment."""
        paths = [(self._draw(SITES), f"/{next(self._numbers)}") for _ in range(3)]
        sending = [gevent.spawn(self.hit, site, path) for site, path in paths]
        gevent.joinall(sending, timeout=10, raise_error=True)

    def hit(self, site: str, path: str) -> None:
        try:
            self.commit.append(hit(path, site=site))
        except NotStored:
            return
        self.acknowledged.append((site, path))

    def settle(self) -> None:
        """Redis and disk are well again."""
        self._draw = lambda choices: "stored"
        under_way = self.raw.under_way
        self.raw.begin(lambda: "stored")
        self.commit.spool._most = 2**20
        for send in under_way:
            send()
        assert any(self.replayer.round() for _ in range(3))
        assert list(self.folder.iterdir()) == []


@pytest.fixture
def tricky(redis: Redis) -> Tricky:
    """One for all examples: it holds a connection."""
    return Tricky(redis)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second try, no rest, and a clock that goes on when it is looked at: how fast the machine is plays no
    part. Little goes at once: much can happen in between.
    """
    monkeypatch.setattr(replay, "MOST", 3)
    monkeypatch.setattr(group_commit, "time", SimpleNamespace(monotonic=itertools.count(0.0).__next__))
    monkeypatch.setattr(group_commit, "DEADLINE", 1.5)  # looks: one try
    monkeypatch.setattr(outage, "SOON", 0.0)


@pytest.mark.usefixtures("at_once")
@settings(PROPERTY, max_examples=400 if FULL else 60)
@given(st.data())
def test_law_2_whatever_network_disk_and_kills_do_a_hit_that_was_answered_is_there_once(
    redis: Redis, tricky: Tricky, data: st.DataObject
) -> None:
    redis.flushdb()
    with TemporaryDirectory() as folder:
        world = World(tricky, Path(folder), lambda choices: data.draw(st.sampled_from(choices)))
        for _ in range(data.draw(st.integers(5, 25))):
            world.step()
        world.settle()
    there = [(site, path) for site in SITES for path in stored(redis, site)]
    assert len(set(there)) == len(there)
    assert set(world.acknowledged) <= set(there)
