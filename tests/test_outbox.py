"""The outbox in one process: no hit is lost or doubled, nobody waits, and what is lost is counted."""

import gc
import logging
import re
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.spooling import Lines, batch, page
from tests.waiting import until
from tracker import delivery, outbox, seldom
from tracker.outbox import Outbox
from tracker.raw import START, RawLog
from tracker.spool import Spool
from tracker.storage import Batch, Stores

LONG = 20.0  # seconds that a flush may take on a busy machine


class Made:
    """Makes outboxes that are closed at the end of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.all: list[Outbox] = []

    def __call__(self, storage: Stores, spool: bool = True) -> Outbox:
        self.all.append(Outbox(storage, "test", self.folder / "spool" if spool else None))
        return self.all[-1]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    maker = Made(tmp_path)
    yield maker
    for one in maker.all:
        one.close(0)


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    return Lines(tmp_path)


class Held(Lines):
    """Holds its thread in `store` until `go` is set; `begun` is set by then."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begun = threading.Event()
        self.go = threading.Event()

    def store(self, hits: Batch) -> None:
        self.begun.set()
        assert self.go.wait(LONG)
        super().store(hits)


def put(box: Outbox, numbers: range) -> list[str]:
    paths = [f"/{n}" for n in numbers]
    for path in paths:
        box.put(page(path))
    return paths


def logged(caplog: pytest.LogCaptureFixture, pattern: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if re.search(pattern, record.getMessage())]


class Raw:
    def __init__(self, redis: Redis) -> None:
        self.log = RawLog(redis)

    def store(self, hits: Batch) -> None:
        self.log.append("example.com", hits, hits.source, hits.position)


def test_8_threads_with_5_000_hits_each_are_exactly_40_000(
    made: Made, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "QUEUE", 40_000)
    box = made(Raw(redis))
    start = threading.Barrier(8)

    def visitor(name: int) -> None:
        start.wait()
        for n in range(5000):
            box.put(page(f"/{name}/{n}"))

    visitors = [threading.Thread(target=visitor, args=(name,)) for name in range(8)]
    for one in visitors:
        one.start()
    for one in visitors:
        one.join()
    assert box.flush(3 * LONG)
    stored = RawLog(redis).after("example.com", START, 50_000)
    paths = [hit.path for _, hit in stored if hit]
    assert len(paths) == 40_000
    for name in range(8):  # the hits of a thread are in their order, too
        assert [path for path in paths if path.startswith(f"/{name}/")] == [
            f"/{name}/{n}" for n in range(5000)
        ]
    assert (box.counts.stored, box.counts.dropped, box.counts.waiting) == (40_000, 0, 0)


def test_hits_that_come_together_go_together(made: Made, lines: Lines) -> None:
    box = made(lines)
    paths = put(box, range(1200))
    assert box.flush(LONG)
    assert lines.paths() == paths
    sizes = [sum(row[1] == position for row in lines.rows()) for position in {row[1] for row in lines.rows()}]
    assert max(sizes) <= 500
    assert len(sizes) < 60
    assert list(lines.by_source()) == [lines.rows()[0][0]]
    assert re.fullmatch("flask-[0-9a-f]{16}", lines.rows()[0][0])


def test_while_the_storage_is_away_hits_are_on_disk_and_later_stored_once_in_order(
    made: Made, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    box = made(lines)
    paths = put(box, range(100))
    assert box.flush(LONG)
    lines.away()
    paths += put(box, range(100, 800))
    assert box.flush(LONG)  # in the spool: nothing more can be done now
    assert until(lambda: box.counts.spooled == 700)
    assert (box.counts.stored, box.counts.waiting) == (100, 0)
    paths += put(box, range(800, 2000))
    lines.back()
    assert until(lambda: box.flush(LONG) and box.counts.stored == 2000)
    assert lines.paths() == paths
    assert len(lines.by_source()) == 1
    assert list((lines.folder / "spool").iterdir()) == []
    assert len(logged(caplog, "out of reach: the file")) == 1
    assert len(logged(caplog, "within reach again")) == 1


def test_while_the_storage_is_away_and_there_is_no_spool_hits_wait_in_memory(
    made: Made, lines: Lines
) -> None:
    lines.away()
    box = made(lines, spool=False)
    paths = put(box, range(1000))
    assert not box.flush(0.3)
    assert box.counts.waiting == 1000
    lines.back()
    assert box.flush(LONG)
    assert lines.paths() == paths


class Twice(Lines):
    """Stores the batch and says that it has not, once: as when a connection ends before the answer."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.seen: list[tuple[str, int, tuple[str, ...]]] = []

    def store(self, hits: Batch) -> None:
        self.seen.append((hits.source, hits.position, tuple(hit.path for hit in hits)))
        if len(self.seen) == 1:
            raise TimeoutError("no answer")
        super().store(hits)


@pytest.mark.parametrize("spool", [True, False], ids=["spooled", "in memory"])
def test_a_batch_that_comes_again_is_the_same_batch(made: Made, tmp_path: Path, spool: bool) -> None:
    storage = Twice(tmp_path)
    box = made(storage, spool)
    put(box, range(3))
    until(lambda: storage.seen)
    put(box, range(3, 6))
    assert until(lambda: box.counts.stored == 6)
    assert storage.seen[0] == storage.seen[1]
    assert storage.paths() == [f"/{n}" for n in range(6)]


class Refusing(Lines):
    def store(self, hits: Batch) -> None:
        if any("bad" in hit.path for hit in hits):
            raise self.error
        super().store(hits)

    error: BaseException = ValueError("100% bad")


@pytest.mark.parametrize("error", [ValueError("100% bad"), SystemExit(3), RecursionError()], ids=repr)
def test_hits_that_a_storage_cannot_hold_are_given_up_and_counted(
    made: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    storage = Refusing(tmp_path)
    storage.error = error
    box = made(storage)
    for _ in range(3):
        put(box, range(2))
        assert box.flush(LONG)
        box.put(page("/bad"))
        assert box.flush(LONG)
    assert (box.counts.stored, box.counts.failed) == (6, 3)
    assert storage.paths() == ["/0", "/1"] * 3
    assert len(logged(caplog, f"given up.*{re.escape(repr(error))}")) == 1


def test_a_slow_storage_makes_nobody_wait_and_hits_wait_on_disk_in_their_order(
    made: Made, tmp_path: Path
) -> None:
    storage = Held(tmp_path)
    box = made(storage)
    paths = put(box, range(10))
    assert storage.begun.wait(LONG)
    paths += put(box, range(10, 6000))
    assert until(lambda: box.counts.spooled > 1000)
    paths += put(box, range(6000, 9000))
    storage.go.set()
    assert box.flush(LONG)
    assert storage.paths() == paths
    assert len(storage.by_source()) == 1
    assert box.counts.dropped == 0
    assert not list((tmp_path / "spool").iterdir())


def test_law_10_beyond_the_bound_hits_are_dropped_and_counted_with_one_log_line(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "QUEUE", 100)
    storage = Held(tmp_path)
    box = made(storage, spool=False)
    box.put(page("/first"))
    assert storage.begun.wait(LONG)
    paths = put(box, range(150))
    assert (box.counts.dropped, box.counts.waiting) == (50, 101)
    assert until(lambda: logged(caplog, "were dropped.*the spool is switched off"))
    storage.go.set()
    assert box.flush(LONG)
    assert storage.paths() == ["/first", *paths[:100]]
    assert len(logged(caplog, "were dropped")) == 1


def test_when_queue_and_spool_are_full_hits_are_dropped_and_the_rest_is_stored_in_order(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "QUEUE", 1000)
    monkeypatch.setattr(delivery, "Spool", lambda folder, name: Spool(folder, name, most=60_000))
    storage = Held(tmp_path)
    box = made(storage)
    box.put(page("/first"))
    assert storage.begun.wait(LONG)
    for n in range(4000):
        put(box, range(n, n + 1))
        if n % 500 == 499 and n < 1500:
            until(lambda: box.counts.waiting < 600 or logged(caplog, "did not go into"))
    assert until(lambda: logged(caplog, "were dropped.*the spool has no room"))
    counts = box.counts
    assert counts.spooled > 0
    assert counts.dropped > 0
    storage.go.set()
    assert until(lambda: box.flush(LONG) and box.counts.stored + box.counts.dropped == 4001)
    numbers = [int(path[1:]) for path in storage.paths()[1:]]
    assert numbers == sorted(set(numbers))
    assert box.counts.stored == len(numbers) + 1


def test_what_a_process_that_is_gone_has_left_is_stored(made: Made, lines: Lines) -> None:
    left = Spool(lines.folder / "spool", "test")
    left.append(batch(4, "/old", source="flask-gone"))
    left.append(batch(5, "/older", source="flask-gone"))
    left.close()
    box = made(lines)
    box.put(page("/new"))
    assert until(lambda: len(lines.paths()) == 3)
    assert lines.by_source()["flask-gone"] == ["/old", "/older"]


def test_an_idle_process_looks_for_what_others_leave(
    made: Made, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "ADOPT", 0.05)
    box = made(lines)
    box.put(page("/"))
    assert box.flush(LONG)
    left = Spool(lines.folder / "spool", "test")
    left.append(batch(1, "/left", source="flask-gone"))
    left.close()
    assert until(lambda: lines.paths() == ["/", "/left"])


def test_close_stores_what_it_can_and_takes_no_more(made: Made, lines: Lines) -> None:
    box = made(lines)
    put(box, range(600))
    box.close(LONG)
    assert len(lines.paths()) == 600
    box.put(page("/late"))
    box.close(LONG)
    assert (box.counts.stored, box.counts.dropped, box.counts.waiting) == (600, 1, 0)


def test_close_puts_a_batch_of_unknown_fate_into_the_spool_first(made: Made, tmp_path: Path) -> None:
    storage = Held(tmp_path)
    box = made(storage)
    put(box, range(1))
    assert storage.begun.wait(LONG)
    put(box, range(1, 4))
    box.close(0)
    storage.go.set()
    after = Lines(tmp_path)
    made(after).put(page("/after"))
    assert until(lambda: {"/3", "/after"} <= set(after.paths()))
    found = {(position, path) for _, position, path in after.rows() if path != "/after"}
    assert found == {(1, "/0"), (2, "/1"), (2, "/2"), (2, "/3")}  # the first perhaps twice, and the same


def test_close_without_a_spool_counts_what_is_lost(
    made: Made, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    lines.away()
    box = made(lines, spool=False)
    put(box, range(7))
    box.close(0.1)
    assert box.counts.dropped == 7
    assert logged(caplog, "^7 hits were dropped: test does not take them, the spool is switched off")


def test_a_hit_that_json_cannot_hold_is_given_up_when_it_would_go_to_disk(made: Made, lines: Lines) -> None:
    lines.away()
    box = made(lines)
    box.put(page("/\ud800"))
    assert until(lambda: box.counts.failed == 1)
    box.put(page("/fine"))
    assert until(lambda: box.counts.spooled == 1)
    lines.back()
    assert until(lambda: lines.paths() == ["/fine"])


def test_of_a_queue_that_goes_to_disk_only_the_batch_is_given_up_that_json_cannot_hold(
    made: Made, tmp_path: Path
) -> None:
    storage = Held(tmp_path)
    box = made(storage)
    box.put(page("/first"))
    assert storage.begun.wait(LONG)
    paths = put(box, range(1200))
    box.put(page("/\ud800"))
    box.close(0)
    assert (box.counts.failed, box.counts.spooled, box.counts.dropped) == (201, 1001, 0)
    storage.go.set()
    made(Lines(tmp_path)).put(page("/new"))
    assert until(lambda: set(storage.paths()) == {"/first", *paths[:1000], "/new"})


def test_a_log_filter_of_the_hosts_that_raises_does_no_harm(
    made: Made, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wants_a_request(_: logging.LogRecord) -> bool:
        raise RuntimeError("Working outside of request context.")

    monkeypatch.setattr(logging.getLogger(), "filters", [])
    for name in ("tracker.delivery", "tracker.spool"):
        monkeypatch.setattr(logging.getLogger(name), "filters", [wants_a_request])
    monkeypatch.setattr(seldom, "MINUTE", 0.001)
    lines.away()
    box = made(lines)
    put(box, range(3))
    assert until(lambda: box.counts.spooled == 3)
    lines.back()
    assert until(lambda: box.counts.stored == 3)


def test_a_fault_of_our_own_is_logged_and_the_thread_goes_on(
    made: Made, lines: Lines, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delivery, "LONGEST_PAUSE", 0.01)
    box = made(lines)
    box.put(page("/0"))
    assert box.flush(LONG)
    monkeypatch.setattr(delivery, "GATHER", "for a while")
    box.put(page("/1"))
    assert until(lambda: logged(caplog, "interrupted: TypeError"))
    monkeypatch.setattr(delivery, "GATHER", 0.01)
    assert box.flush(LONG)
    assert lines.paths() == ["/0", "/1"]


def test_where_no_thread_can_be_had_a_later_hit_tries_again(
    made: Made, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    box = made(lines)
    usual = threading.stack_size(2**46)  # more than the machine has addresses for
    try:
        put(box, range(3))
    finally:
        threading.stack_size(usual)
    assert logged(caplog, "no thread can be started")
    assert not box.flush(0)
    put(box, range(3, 4))
    assert box.flush(LONG)
    assert lines.paths() == ["/0", "/1", "/2", "/3"]


def test_an_outbox_that_nobody_has_any_more_goes_with_its_thread(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "ADOPT", 0.05)
    box = Outbox(lines, "forgotten", lines.folder / "spool")
    box.put(page("/last"))
    gone = weakref.ref(box)
    del box
    assert until(lambda: gc.collect() >= 0 and gone() is None)
    assert until(lambda: "hitwall-forgotten" not in [thread.name for thread in threading.enumerate()])
    assert lines.paths() == ["/last"]


def test_an_outbox_that_nobody_has_any_more_leaves_its_spool_to_others(
    made: Made, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines.away()
    Outbox(lines, "test", lines.folder / "spool").put(page("/left"))
    assert until(lambda: list((lines.folder / "spool").glob("*.spool")))
    lines.back()
    monkeypatch.setattr(delivery, "ADOPT", 0.05)
    made(lines).put(page("/new"))
    assert until(lambda: set(lines.paths()) == {"/left", "/new"})


def test_flush_waits_for_hooks_as_well(made: Made, lines: Lines) -> None:
    called: list[str] = []
    lines.hooks = [lambda path: called.append(path)]  # type: ignore[attr-defined]
    box = made(lines)
    paths = put(box, range(50))
    assert box.flush(LONG)
    assert called == paths


def test_a_hook_that_hangs_or_raises_changes_nothing_for_who_puts(made: Made, lines: Lines) -> None:
    go = threading.Event()

    def hanging() -> None:
        go.wait(LONG)
        raise KeyError("hook")

    lines.hooks = [hanging]  # type: ignore[attr-defined]
    box = made(lines)
    paths = put(box, range(200))
    assert not box.flush(0)
    go.set()
    assert box.flush(LONG)
    assert lines.paths() == paths


def test_an_outbox_without_hits_has_no_thread_and_is_flushed(made: Made, lines: Lines) -> None:
    before = threading.active_count()
    box = made(lines)
    assert box.flush(0)
    box.close(0)
    assert threading.active_count() == before
    assert not (lines.folder / "spool").exists()
