"""The outbox where storages, hooks, threads and disks fail in ways of their own: no hit is lost for it."""

import asyncio
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import gevent
import pytest
from redis import Redis

from tests.spooling import Lines, adopting, batch, page, positions, ran
from tests.waiting import until
from tracker.batches import Batches, Counts
from tracker.delivery import Delivery
from tracker.hit import Hit
from tracker.outbox import Outbox
from tracker.raw import START, RawLog
from tracker.spool import Spool
from tracker.spool_file import SpoolFile
from tracker.storage import Batch, Stores, Unstorable
from tracker.storage.http import HTTPStorage
from tracker.storage.redis_db import RedisStorage

LONG = 20.0  # seconds that a flush may take on a busy machine


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    return Lines(tmp_path)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[[Stores], Outbox]]:
    """Makes outboxes that are closed at the end of the test."""
    boxes: list[Outbox] = []

    def make(storage: Stores) -> Outbox:
        boxes.append(Outbox(storage, "test", tmp_path / "spool"))
        return boxes[-1]

    yield make
    for box in boxes:
        box.close(0)


class Picky(Lines):
    """Stores all but what has `bad` in its path, and says so."""

    hooks: tuple[Callable[..., object], ...] = ()

    def store(self, hits: Batch) -> None:
        super().store(Batch([hit for hit in hits if "bad" not in hit.path], hits.source, hits.position))
        if places := [place for place, hit in enumerate(hits) if "bad" in hit.path]:
            raise Unstorable("bad ones", places)


def test_of_a_batch_only_those_are_given_up_that_the_storage_names_and_hooks_see_the_others(
    made: Callable[[Stores], Outbox], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    storage = Picky(tmp_path)
    storage.hooks = (lambda path: seen.append(path),)
    box = made(storage)
    for path in ("/0", "/bad", "/1", "/2"):
        box.put(page(path))
    assert box.flush(LONG)
    assert (box.counts.stored, box.counts.failed) == (3, 1)
    assert seen == storage.paths() == ["/0", "/1", "/2"]
    assert "1 hits were given up" in caplog.text


def test_places_that_are_none_of_the_batch_are_not_counted(
    made: Callable[[Stores], Outbox], tmp_path: Path
) -> None:
    class Confused(Lines):
        def store(self, hits: Batch) -> None:
            raise Unstorable("all, and more", [*range(-3, 600)])

    box = made(Confused(tmp_path))
    box.put(page("/"))
    assert box.flush(LONG)
    assert (box.counts.stored, box.counts.failed) == (0, 1)


@pytest.mark.parametrize(
    "error",
    [gevent.Timeout(1), asyncio.CancelledError(), GeneratorExit()],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_exception_ends_no_thread_in_a_storage_or_a_hook(
    made: Callable[[Stores], Outbox], tmp_path: Path, error: BaseException
) -> None:
    class Raising(Picky):
        def store(self, hits: Batch) -> None:
            if "bad" in hits[0].path:
                raise error
            super().store(hits)

    def hook(path: str) -> None:
        raise error

    storage = Raising(tmp_path)
    storage.hooks = (hook,)
    box = made(storage)
    for path in ("/bad", "/0", "/1"):
        box.put(page(path))
        assert box.flush(LONG)
    assert (box.counts.stored, box.counts.failed) == (2, 1)
    assert storage.paths() == ["/0", "/1"]


def test_a_hit_that_comes_while_the_thread_is_being_started_is_stored_at_once(
    made: Callable[[Stores], Outbox], lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = made(lines)
    started = Delivery.start

    def start(self: Delivery) -> None:
        started(self)
        until(lambda: self.is_idle and lines.paths())
        other = threading.Thread(target=box.put, args=(page("/second"),))
        other.start()
        other.join()

    monkeypatch.setattr(Delivery, "start", start)
    box.put(page("/first"))
    assert box.flush(LONG)
    assert lines.paths() == ["/first", "/second"]


class Hanging(Lines):
    """Hangs until `go` is set, and is out of reach from then on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tries = 0
        self.go = threading.Event()

    def store(self, hits: Batch) -> None:
        self.tries += 1
        assert self.go.wait(LONG)
        raise ConnectionError("away")


def test_while_the_storage_is_away_the_thread_sleeps_also_when_the_queue_had_to_be_relieved(
    made: Callable[[Stores], Outbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[bool] = []
    spill = Batches.spill

    def counted(self: Batches) -> bool:
        turns.append(spill(self))
        return turns[-1]

    monkeypatch.setattr(Batches, "spill", counted)
    storage = Hanging(tmp_path)
    box = made(storage)
    for n in range(4000):
        box.put(page(f"/{n}"))
        assert n or until(lambda: storage.tries == 1)
    assert until(lambda: box.counts.spooled > 0)
    storage.go.set()
    assert until(lambda: storage.tries == 4)  # after 0.1, 0.2 and 0.4 s
    assert len(turns) < 100


def test_a_signal_that_ends_the_process_while_the_thread_is_being_started_loses_nothing(lines: Lines) -> None:
    script = """
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from tests.spooling import Lines, page
from tracker.delivery import Delivery
from tracker.outbox import Outbox
box = Outbox(Lines(Path(sys.argv[1])), "test", Path(sys.argv[1], "spool"))
started = Delivery.start
def start(self):
    started(self)
    sys.exit()  # as a handler of SIGTERM does
Delivery.start = start
box.put(page("/only"))
"""
    ran(script, lines.folder)
    assert lines.paths() == ["/only"]


def test_a_batch_in_hand_that_json_cannot_hold_costs_none_of_those_behind_it(tmp_path: Path) -> None:
    queue = deque([page("/\ud800")])
    batches = Batches(queue, Spool(tmp_path, "test"), Counts())
    assert batches.next() is not None  # and storing begins
    queue.append(page("/next"))
    assert batches.spill()
    batches.drop(stored=1)
    batches.settle()
    assert paths(batches.next()) == ["/next"]
    batches.close(0)
    assert [paths(one) for one in [adopting(tmp_path, "test").oldest()]] == [["/next"]]


def paths(found: Batch | None) -> list[str]:
    return [hit.path for hit in found or ()]


def test_what_is_left_in_a_file_that_cannot_be_read_just_now_is_not_taken_for_stored_later(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = RawLog(redis)
    queue: deque[Hit] = deque()
    batches = Batches(queue, Spool(tmp_path, "test"), Counts())
    store(log, batches, queue, "/0")
    queue.append(page("/1"))
    assert batches.spill()
    readable = SpoolFile.several

    def unreadable(file: SpoolFile, most: int) -> None:
        raise OSError("EIO")

    monkeypatch.setattr(SpoolFile, "several", unreadable)
    store(log, batches, queue, "/2")
    monkeypatch.setattr(SpoolFile, "several", readable)
    assert "could not be used: EIO" in caplog.text
    batches.adopt()
    store(log, batches, queue)
    assert sorted(hit.path for _, hit in log.after("example.com", START, 9) if hit) == ["/0", "/1", "/2"]


def store(log: RawLog, batches: Batches, queue: deque[Hit], *put: str) -> None:
    """All that waits, and these."""
    queue.extend(map(page, put))
    while (found := batches.next()) is not None:
        log.append("example.com", found, found.source, found.position)
        batches.drop(stored=len(found))
        batches.settle()


STUCK = """
import os, signal, sys
from pathlib import Path
from tempfile import TemporaryDirectory
from tests.spooling import adopting, batch, taken
folder = Path(sys.argv[1])
signal.alarm(30)  # for ever, that is
if os.getuid() == 0:
    os.chown(folder, 65534, 65534)
    os.setuid(65534)  # root may do anything
spools = [adopting(folder) for _ in range(2)]
for spool in spools:
    spool.append(batch(1))
    spool.close()
folder.chmod(0o555)
spool = adopting(folder)
print(len(list(taken(spool))), flush=True)
spool.adopt()
print(spool.oldest())
folder.chmod(0o700)
"""


def test_files_that_cannot_be_deleted_hold_up_nobody() -> None:

    with TemporaryDirectory() as name:  # pytest's own are closed to who is not root
        assert ran(STUCK, name).split() == ["2", "None"]


def test_a_name_of_any_length_has_a_spool(tmp_path: Path) -> None:
    names = ["ü" * 60, "ü" * 61, "n" * 300, "n" * 301, "n" * 150]
    for n, name in enumerate(names):
        spool = Spool(tmp_path, name)
        assert spool.append(batch(n))
        spool.close()
    assert [positions(adopting(tmp_path, name)) for name in names] == [[n] for n in range(len(names))]


def test_under_gevent_a_batch_goes_to_the_disk_also_where_no_thread_can_be_had(lines: Lines) -> None:
    script = """
from gevent import monkey
monkey.patch_all()
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from tests.spooling import batch
from tracker.spool import Spool
monkey.get_original("_thread", "stack_size")(2**46)  # more than the machine has addresses for
print(Spool(Path(sys.argv[1]), "redis").append(batch(1)))
"""
    assert ran(script, lines.folder).split() == ["True"]


def test_what_waits_for_one_server_is_not_taken_for_another() -> None:
    urls = [
        "redis://10.0.0.5/0",
        "redis://10.0.0.6/0",
        "redis://10.0.0.5/1",
        "redis://10.0.0.5:1/0",
        "unix:///a",
    ]
    hitwalls = ["https://a.example", "https://b.example"]
    names = [RedisStorage(url=url).name for url in urls] + [HTTPStorage(url).name for url in hitwalls]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("(redis|http)storage-[0-9a-f]{8}", name) for name in names)


def test_who_asks_and_how_does_not_change_which_server_it_is() -> None:
    same = ["redis://10.0.0.5", "rediss://name:secret@10.0.0.5:6379/0", "redis://:other@10.0.0.5/0"]
    assert len({RedisStorage(url=url).name for url in same} | {RedisStorage("10.0.0.5").name}) == 1
    assert HTTPStorage("http://a.example/").name == HTTPStorage("http://a.example", token="t").name
