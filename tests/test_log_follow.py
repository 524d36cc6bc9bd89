"""Following logs: every line once, in its order, whatever becomes of the file."""

import gzip
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.following import Start, add, catch_up, starts
from tests.hits import PROPERTY, SITE
from tests.logs import import_all, line, lines, paths, stored
from tests.waiting import until
from tracker import log_follow
from tracker.backlog import Backlog
from tracker.connection import connect
from tracker.log_file import BadLog
from tracker.log_follow import Follower, follow
from tracker.log_import import LogImport
from tracker.log_reader import LogReader
from tracker.raw import RawLog
from tracker.visitors import Visitors


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def start(redis: Redis, log: Path) -> Iterator[Start]:
    """Starts following the log, as after a restart; ended at the end."""
    yield from starts(lambda: follower(redis, log))


def follower(redis: Redis, path: Path) -> Follower:
    reader = LogReader(SITE, Visitors("off", redis))
    return Follower(path, lambda opened: LogImport(RawLog(redis), opened, reader))


def test_lines_come_as_they_are_written(redis: Redis, log: Path, start: Start) -> None:
    one = start()
    assert one.poll() is False  # not there yet
    for n in range(5):
        add(log, line(f"/{n}"))
        catch_up(one)
        assert stored(redis) == paths(range(n + 1))


def test_a_line_written_in_pieces_counts_once_it_is_whole(redis: Redis, log: Path, start: Start) -> None:
    one = start()
    text = line("/0")
    for at in range(0, len(text), 9):
        assert stored(redis) == []
        add(log, text[at : at + 9])
        catch_up(one)
    assert stored(redis) == ["/0"]


def test_it_goes_on_where_it_or_an_import_stopped(redis: Redis, log: Path, start: Start) -> None:
    add(log, lines(range(5)))
    import_all(redis, log)
    add(log, lines(range(5, 10)))
    catch_up(start())
    add(log, lines(range(10, 15)))
    catch_up(start())
    assert stored(redis) == paths(range(15))


@pytest.mark.parametrize("more", [0, 3])
def test_a_new_file_counts_even_where_it_reads_like_the_old_one(
    redis: Redis, log: Path, start: Start, more: int
) -> None:
    one = start()
    add(log, lines(range(5)))
    catch_up(one)
    log.rename(log.with_name("access.log.1"))
    add(log, lines(range(5 + more)))
    catch_up(one)
    add(log, line("/end"))
    catch_up(start())
    assert stored(redis) == [*paths(range(5)), *paths(range(5 + more)), "/end"]


def test_after_a_rotation_comes_the_rest_of_the_old_file_first(redis: Redis, log: Path, start: Start) -> None:
    one = start()
    add(log, lines(range(5)))
    catch_up(one)
    old = log.rename(log.with_name("access.log.1"))
    add(old, lines([5, 6]))
    catch_up(one)
    assert one.poll() is False  # no new file yet
    add(old, lines([7]))
    add(log, lines([8, 9]))
    catch_up(one)
    add(old, lines([10]))  # the server has not reopened its log yet
    catch_up(one)
    assert stored(redis) == paths(range(11))


def test_a_log_rotated_away_is_left_after_a_while_with_its_last_line(
    redis: Redis, log: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = start()
    add(log, lines([0]) + line("/1")[:-1])
    catch_up(one)
    log.rename(log.with_name("access.log.1"))
    catch_up(one)
    assert stored(redis) == ["/0"]
    monkeypatch.setattr(log_follow, "LATE", -1.0)
    catch_up(one)
    assert stored(redis) == ["/0", "/1"]


def open_files(folder: Path) -> list[str]:
    """The files of that folder which this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that lists them
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return [name for name in found if name.startswith(f"{folder}/")]


def test_many_rotations_keep_few_files_open(redis: Redis, log: Path, start: Start) -> None:
    one = start()
    for n in range(20):
        add(log, lines([n]))
        catch_up(one)
        log.rename(log.with_name(f"access.log-{n}"))
        catch_up(one)
    assert len(open_files(log.parent)) <= log_follow.ROTATED + 1
    assert stored(redis) == paths(range(20))


@pytest.mark.parametrize("size", [2, 50], ids=["shorter", "longer"])
def test_a_log_truncated_in_place_is_read_from_its_beginning(
    redis: Redis, log: Path, start: Start, size: int
) -> None:
    one = start()
    add(log, lines(range(10)))
    catch_up(one)
    log.write_text(lines(range(10, 10 + size)))
    catch_up(one)
    assert stored(redis) == paths(range(10 + size))


@pytest.mark.parametrize("before", [[0], [0, 1, 2]], ids=["one line", "several"])
def test_a_log_seen_empty_counts_even_where_it_then_reads_as_before(
    redis: Redis, log: Path, start: Start, before: list[int]
) -> None:
    one, two = start(), start()
    add(log, lines(before))
    catch_up(one)
    catch_up(two)
    for _ in range(2):
        log.write_text("")
        for each in (one, two):
            catch_up(each)
        for n in before:
            add(log, line(f"/{n}"))
            for each in (one, two):
                catch_up(each)
    catch_up(start())
    assert stored(redis) == paths(before) * 3


def test_a_log_copied_over_one_that_was_rotated_away_is_known(redis: Redis, log: Path, start: Start) -> None:
    one, old = start(), log.with_name("access.log.1")
    for n in (0, 10, 20):
        add(log, lines(range(n, n + 10)))
        catch_up(one)
        if n == 0:
            log.rename(old)
    shutil.copy(log, old)
    catch_up(one)
    assert stored(redis) == paths(range(30))


def test_what_was_written_before_copy_and_truncation_is_in_the_copy(
    redis: Redis, log: Path, start: Start
) -> None:
    one = start()
    add(log, lines(range(10)))
    catch_up(one)
    add(log, lines(range(10, 15)))
    shutil.copy(log, log.with_name("access.log.1"))
    log.write_text(lines([20, 21]))
    catch_up(one)
    assert sorted(stored(redis)) == sorted(paths([*range(15), 20, 21]))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_logs_rotated_while_nobody_followed_are_finished_first(
    redis: Redis, log: Path, start: Start, packed: bool
) -> None:
    add(log, lines(range(100, 110)))
    os.utime(log.rename(log.with_name("access.log.3")), (1, 1))  # before all: never followed
    add(log, lines(range(5)))
    catch_up(start())
    for n, name in enumerate(("access.log.2", "access.log.1")):
        add(log, lines(range(5 + 5 * n, 10 + 5 * n)))
        old = log.rename(log.with_name(name))
        if packed:
            content = old.read_bytes()
            old.unlink()
            old = old.with_name(name + ".gz")
            old.write_bytes(gzip.compress(content))
        os.utime(old, (100 + n, 100 + n))
    add(log, lines(range(15, 20)))
    add(log.with_name("access.log.swp"), lines([99]))
    catch_up(start())
    catch_up(start())
    assert stored(redis) == paths(range(20))


@pytest.mark.parametrize("size", [0, 2, 15, 300, 5000])
def test_a_log_that_is_just_being_compressed_is_looked_at_again(
    redis: Redis, log: Path, start: Start, size: int
) -> None:
    add(log, lines(range(3000)))
    catch_up(start())
    add(log, lines(range(3000, 3010)))
    packed = log.with_name("access.log.1.gz")
    content = gzip.compress(log.read_bytes())
    log.unlink()
    packed.write_bytes(content[:size])
    add(log, lines([3010]))
    one = start()
    catch_up(one)
    packed.unlink()
    packed.write_bytes(content)
    until(lambda: one.poll() or len(stored(redis)) == 3011)
    catch_up(one)
    assert sorted(stored(redis)) == sorted(paths(range(3011)))


def test_a_log_that_goes_away_and_comes_back_is_the_same(redis: Redis, log: Path, start: Start) -> None:
    one = start()
    add(log, lines(range(5)))
    catch_up(one)
    away = log.rename(log.with_name("elsewhere"))
    catch_up(one)
    away.rename(log)
    add(log, lines([5]))
    catch_up(one)
    assert stored(redis) == paths(range(6))


def test_two_followers_of_one_log_store_each_line_once(redis: Redis, log: Path, start: Start) -> None:
    one, other = start(), start()
    for n in range(30):
        add(log, lines(range(10 * n, 10 * n + 10)))
        (one if n % 3 else other).poll()
        (other if n % 2 else one).poll()
    catch_up(one)
    catch_up(other)
    assert stored(redis) == paths(range(300))


def test_a_compressed_log_cannot_be_followed(redis: Redis, log: Path, start: Start) -> None:
    log.write_bytes(gzip.compress(lines([1]).encode()))
    with pytest.raises(BadLog, match="no plain file"):
        start().poll()


DEEDS = st.lists(
    st.sampled_from(["write", "half", "poll", "rotate", "restart", "truncate", "compress"]), max_size=25
)


class Scene:
    """A server, logrotate and a follower that is started again and again."""

    def __init__(self, redis: Redis, log: Path) -> None:
        self.redis, self.log = redis, log
        self.written = self.rotated = self.unseen = 0
        self.half = ""
        self.one = follower(redis, log)

    def write(self) -> None:
        number, text = self.written, self.half
        self.half = ""
        if not text:
            text, self.written = line(f"/{number}"), number + 1
        add(self.log, text)

    def half_line(self) -> None:
        self.write() if self.half else None
        text = line(f"/{self.written}")
        self.written += 1
        add(self.log, text[:40])
        self.half = text[40:]

    def poll(self) -> None:
        catch_up(self.one)
        self.unseen = 0

    def rotate(self) -> None:
        """As logrotate does; the server finishes its line in the old file."""
        if self.log.exists() and self.unseen < log_follow.ROTATED:
            self.unseen += 1
            if self.half:
                self.write()
            self.rotated += 1
            old = self.log.rename(self.log.with_name(f"access.log-{self.rotated}"))
            os.utime(old, (self.rotated, self.rotated))

    def restart(self) -> None:
        self.one.close()
        self.one = follower(self.redis, self.log)

    def truncate(self) -> None:
        """As copytruncate does while nobody writes."""
        if self.log.exists():
            if self.half:
                self.write()
            self.poll()
            self.log.write_text("")

    def compress(self) -> None:
        """The log rotated away last, while nobody has it open."""
        old = self.log.with_name(f"access.log-{self.rotated}")
        if old.exists() and old.stat().st_size:
            self.poll()
            packed = old.with_name(old.name + ".gz")
            packed.write_bytes(gzip.compress(old.read_bytes()))
            os.utime(packed, (self.rotated, self.rotated))
            old.unlink()


@given(DEEDS)
@PROPERTY
def test_whatever_happens_to_a_log_each_line_is_stored_once(
    redis: Redis, tmp_path_factory: pytest.TempPathFactory, deeds: list[str]
) -> None:
    redis.flushdb()
    scene = Scene(redis, tmp_path_factory.mktemp("log") / "access.log")
    scene.write()
    scene.poll()
    for deed in deeds:
        getattr(scene, "half_line" if deed == "half" else deed)()
    if scene.half:
        scene.write()
    scene.poll()
    scene.one.close()
    assert sorted(stored(redis)) == sorted(paths(range(scene.written)))


def test_following_outlives_a_redis_that_goes_away(
    redis: Redis, log: Path, redis_url: str, caplog: pytest.LogCaptureFixture, free_port: int
) -> None:
    caplog.set_level(logging.INFO)
    stop = Event()
    away = connect(f"redis://127.0.0.1:{free_port}/0")
    one = follower(away, log)
    add(log, lines([0]))
    thread = Thread(target=follow, args=([one], Backlog(away, SITE).is_full, stop))
    thread.start()
    until(lambda: "waits for Redis" in caplog.text)
    stop.set()
    thread.join()
    assert caplog.text.count("waits for Redis") == 1
