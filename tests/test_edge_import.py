"""The log of an edge: each line once in the raw log of its site, whatever becomes of log and reader."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from redis import ConnectionError, Redis

from tests.edge import edge_reader, follower, hits, line, lines, pages, refused, stored
from tests.following import Start, add, catch_up, starts
from tests.service import TIMEOUT
from tests.waiting import until
from tracker import edge_import, keys
from tracker.edge_import import EdgeImport
from tracker.log_file import BadLog, LogFile, turn
from tracker.log_lines import MAX_LINE
from tracker.raw import Moved, RawLog

Read = Callable[..., EdgeImport]
SITES = 3


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines do not wait for more of them."""
    monkeypatch.setattr(edge_import, "GATHER", 0.0)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "hits.log"


@pytest.fixture
def start(redis: Redis, log: Path) -> Iterator[Start]:
    """Starts following the log, as after a restart; ended at the end."""
    yield from starts(lambda: follower(redis, log))


def to_the_end(one: EdgeImport) -> None:
    while one.step():
        pass


@pytest.fixture
def read(redis: Redis, log: Path) -> Iterator[Read]:
    """Begins to read the log; closed at the end."""
    opened = []

    def begin(raw: RawLog | None = None) -> EdgeImport:
        opened.append(LogFile.open(log))
        return EdgeImport(redis, raw or RawLog(redis), opened[-1], edge_reader(redis))

    yield begin
    for one in opened:
        one.close()


class Failing(RawLog):
    """Appends so many times, then its Redis is away: before it has the hits, or before it can say so."""

    def __init__(self, redis: Redis, times: int, stores: bool) -> None:
        super().__init__(redis)
        self.times = times
        self._stores = stores

    def append_lines(self, *args: Any) -> int:
        self.times -= 1
        if self.times < 0 and not self._stores:
            raise ConnectionError("away")
        done = super().append_lines(*args)
        if self.times < 0:
            raise ConnectionError("away")
        return done


def test_lines_come_as_they_are_written_each_to_its_site(redis: Redis, log: Path, start: Start) -> None:
    one = start()
    assert one.poll() is False  # not there yet
    for n in range(0, 12, 4):
        add(log, lines(range(n, n + 4), SITES))
        catch_up(one)
        assert stored(redis) == pages(range(n + 4))
    assert RawLog(redis).sites() == {f"site-{n}.example" for n in range(SITES)}


def test_a_line_written_in_pieces_counts_once_it_is_whole(redis: Redis, log: Path, start: Start) -> None:
    one, text = start(), lines([0])
    for at in range(0, len(text), 50):
        assert stored(redis) == []
        add(log, text[at : at + 50])
        catch_up(one)
    assert stored(redis) == ["/0"]


@pytest.mark.parametrize("stores", [False, True], ids=["not stored", "answer lost"])
@pytest.mark.parametrize("times", range(SITES))
def test_who_was_ended_between_two_sites_of_a_batch_stores_the_rest_of_it(
    redis: Redis, log: Path, read: Read, times: int, stores: bool
) -> None:
    add(log, lines(range(10), SITES))
    failing = read(Failing(redis, times, stores))
    with pytest.raises(ConnectionError):
        failing.step()
    add(log, lines(range(10, 20), SITES + 1))  # the batch of who comes after is another one
    other = read()
    while other.step():
        pass
    assert stored(redis) == pages(range(20))


@pytest.mark.parametrize("stores", [False, True], ids=["not stored", "answer lost"])
def test_what_redis_did_not_take_is_tried_again_and_nothing_is_refused_twice(
    redis: Redis, log: Path, read: Read, stores: bool
) -> None:
    add(log, lines(range(10), SITES) + b"nothing\n")
    raw = Failing(redis, 1, stores)
    one = read(raw)
    for _ in range(SITES - 1):
        with pytest.raises(ConnectionError):
            one.step()
    raw.times = 100
    assert one.step()
    assert stored(redis) == pages(range(10))
    assert refused(redis) == {"bad log line": 1}


@pytest.mark.parametrize("stores", [False, True], ids=["not stored", "answer lost"])
@pytest.mark.parametrize("times", range(6))
def test_what_was_read_while_redis_did_not_take_the_lines_before_is_stored_behind_them(
    redis: Redis, log: Path, read: Read, monkeypatch: pytest.MonkeyPatch, times: int, stores: bool
) -> None:
    monkeypatch.setattr(edge_import, "MOST", 1200)
    monkeypatch.setattr(edge_import, "CHUNK", 400)
    add(log, lines(range(20), SITES))
    raw = Failing(redis, times, stores)
    one = read(raw)
    with pytest.raises(ConnectionError):
        to_the_end(one)
    raw.times = 100
    to_the_end(one)
    assert stored(redis) == pages(range(20))
    for site in range(SITES):
        told = [int(hit.path[1:]) for hit in hits(redis) if hit.site == f"site-{site}.example"]
        assert told == sorted(told)


def test_while_redis_has_lines_the_next_ones_are_read_and_not_sent(
    redis: Redis, log: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_import, "MOST", 1200)
    monkeypatch.setattr(edge_import, "CHUNK", 400)
    add(log, lines(range(20)))
    read_on, seen = Event(), []

    class Waiting(RawLog):
        def append_lines(self, *args: Any) -> int:
            seen.append((read_on.wait(TIMEOUT), stored(redis)))
            return super().append_lines(*args)

    one = read(Waiting(redis))
    take, turns = one._read, count()

    def told() -> Any:
        found = take()
        if next(turns) == 1:
            read_on.set()
        return found

    monkeypatch.setattr(one, "_read", told)
    assert one.step()
    assert seen == [(True, [])]
    assert stored(redis) == pages(range(len(stored(redis))))
    assert 0 < len(stored(redis)) < 20


def test_lines_for_which_redis_had_to_be_asked_and_was_away_are_read_again(
    redis: Redis, log: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new day's salt, or whether a hit is the canary."""
    add(log, lines(range(5)))
    one = read()

    def away(*_: object) -> None:
        raise ConnectionError("away")

    with monkeypatch.context() as patch:
        patch.setattr(one._reader, "read", away)
        with pytest.raises(ConnectionError):
            one.step()
    assert one.step()
    assert stored(redis) == pages(range(5))


def test_two_that_hold_the_same_lines_store_them_once_and_refuse_them_once(
    redis: Redis, log: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn is held by a lock; where the file system has none, both are at it."""
    monkeypatch.setattr(fcntl, "flock", _no_locks)
    add(log, lines(range(10), SITES) + b"nothing\n")
    one, other = read(), read()
    for both in (one, other):
        assert both._find_place()
        both._lot = both._read()
        add(log, lines([10], SITES))  # the second has one more line
    for both in (one, other):
        assert both._lot is not None
        both._store(*both._lot)
    while one.step() or other.step():
        pass
    assert stored(redis) == [*pages(range(10)), "/10", "/10"]
    assert refused(redis) == {"bad log line": 1}


def _no_locks(*_: object) -> None:
    raise OSError("no locks here")


def test_while_one_has_its_turn_the_other_leaves_the_log_alone(redis: Redis, log: Path, read: Read) -> None:
    add(log, lines(range(10)))
    one, other = read(), read()
    with turn(one.log) as is_ours:
        assert is_ours
        assert other.step() is False
    assert other.step() is True
    assert stored(redis) == pages(range(10))


def test_two_followers_in_turns_store_each_line_once(redis: Redis, log: Path, start: Start) -> None:
    one, other = start(), start()
    for n in range(20):
        add(log, lines(range(10 * n, 10 * n + 10), SITES))
        (one if n % 3 else other).poll()
        (other if n % 2 else one).poll()
    catch_up(one)
    catch_up(other)
    assert stored(redis) == pages(range(200))


def test_what_is_refused_is_counted_once_for_its_day(redis: Redis, log: Path, start: Start) -> None:
    add(log, line("url=", 1795219366.0) + b"\n" + line("") + b"\nnothing\n" + b"x" * (MAX_LINE + 9) + b"\n")
    catch_up(start())
    catch_up(start())
    assert redis.hgetall("hitwall:refused:2026-11-21") == {b"no url": b"1"}
    assert refused(redis) == {"no url": 2, "bad log line": 1, "too long": 1}


def test_redis_emptied_by_somebody_gets_what_the_log_still_has(redis: Redis, log: Path, start: Start) -> None:
    one = start()
    add(log, lines(range(5), SITES))
    catch_up(one)
    redis.flushdb()
    add(log, lines(range(5, 8), SITES))
    catch_up(one)
    assert stored(redis) == pages(range(8))


def test_what_lies_under_the_keys_of_the_positions_and_is_not_ours_is_set_aside(
    redis: Redis, log: Path, start: Start
) -> None:
    one = start()
    add(log, lines(range(5)))
    catch_up(one)
    for key in [*redis.scan_iter("hitwall:edge:*"), *redis.scan_iter("*:seen:*")]:
        redis.delete(key)
        redis.rpush(key, "foreign")
    add(log, lines(range(5, 8)))
    catch_up(one)
    assert set(stored(redis)) == set(pages(range(8)))  # where it stood nobody knows any more
    for key in redis.scan_iter("*:seen:*"):
        redis.set(key, "foreign")
    log.write_bytes(lines(range(8, 10)))
    catch_up(start())
    assert set(stored(redis)) == set(pages(range(10)))


def test_a_file_that_is_another_behind_its_first_line_is_not_read_on(
    redis: Redis, log: Path, start: Start
) -> None:
    first = lines([0])
    log.write_bytes(first + lines([1, 2]))
    catch_up(start())
    log.write_bytes(first + lines([3, 4, 5]))
    with pytest.raises(BadLog, match="not the log any more"):
        start().poll()


def test_positions_of_a_log_expire(redis: Redis, log: Path, start: Start) -> None:
    add(log, lines(range(5), SITES))
    catch_up(start())
    [file] = redis.scan_iter("hitwall:edge:*")
    sites = list(redis.scan_iter("*:seen:edge-*"))
    assert redis.ttl(file) > 399 * 86_400
    assert len(sites) == SITES
    assert all(6 * 86_400 < redis.ttl(site) <= 7 * 86_400 for site in sites)
    parsed = keys.parse(file)
    assert parsed is not None
    assert sites[0].decode().endswith(parsed.detail)


def test_a_log_that_is_late_waits_for_a_counter_that_is_behind_and_a_live_one_does_not(
    redis: Redis, log: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = []

    class Full:
        def __init__(self, _: Redis, site: str) -> None:
            behind.append(site)

        def is_full(self) -> bool:
            return len(behind) == 1

    monkeypatch.setattr(edge_import, "Backlog", Full)
    add(log, line("url=https://example.com/0", 1.0) + b"\n")
    one = read()
    assert one.step()
    add(log, line("url=https://example.com/1", 2.0) + b"\n")
    assert one.step() is False
    behind.append("less now")
    assert one.step()
    assert behind[0] == "example.com"


def test_what_was_written_before_copy_and_truncation_is_in_the_copy(
    redis: Redis, log: Path, start: Start
) -> None:
    one = start()
    add(log, lines(range(10), SITES))
    catch_up(one)
    add(log, lines(range(10, 15), SITES))
    shutil.copy(log, log.with_name("hits.log.1"))
    log.write_bytes(lines([15, 16]))
    catch_up(one)
    assert stored(redis) == pages(range(17))


def test_lines_wait_for_others_only_while_these_come(
    redis: Redis, log: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_import, "GATHER", 0.2)
    add(log, lines([0]))
    one = read()
    assert one.step()
    add(log, lines([1]))
    assert one.step() is False
    until(one.step)
    assert stored(redis) == ["/0", "/1"]
    add(log, lines(range(2, 3000)))
    assert one.step()  # so many do not wait


def test_a_site_elsewhere_is_no_reason_to_give_up(redis: Redis, log: Path, read: Read) -> None:
    """Another process moved a site between our look and our append."""
    add(log, lines(range(4), SITES))

    class Overtaken(RawLog):
        turns = iter([True])

        def append_lines(self, *args: Any) -> int:
            if next(self.turns, False):
                raise Moved("elsewhere")
            return super().append_lines(*args)

    assert read(Overtaken(redis)).step()
    assert stored(redis) == pages(range(4))
