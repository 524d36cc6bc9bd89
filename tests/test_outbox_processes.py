"""The outbox in processes that fork, end, are killed, or are patched by gevent: every hit is stored once."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.spooling import Lines, page, ran, started
from tests.waiting import until
from tracker.outbox import Outbox


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    return Lines(tmp_path)


def answer(script: str, folder: Path) -> Any:
    """What the script prints, JSON."""
    return json.loads(ran(HEAD + script, folder))


HEAD = """
import json, os, sys, threading, time
from pathlib import Path
folder = Path(sys.argv[1])
"""

BOX = """
from tests.spooling import Lines, page
from tracker.outbox import Outbox
lines = Lines(folder)
box = Outbox(lines, "test", folder / "spool")
def put(who, count):
    for n in range(count):
        box.put(page(f"/{who}/{n}"))
"""


def paths(who: str, count: int) -> list[str]:
    return [f"/{who}/{n}" for n in range(count)]


def of(lines: Lines, who: str) -> list[str]:
    return [path for path in lines.paths() if path.startswith(f"/{who}/")]


def test_what_is_queued_is_stored_at_the_end_of_a_process(lines: Lines) -> None:
    assert answer(BOX + "put('a', 1000); print(1)", lines.folder) == 1
    assert lines.paths() == paths("a", 1000)


@pytest.mark.parametrize(
    "end", ["raise SystemExit(0)", "sys.exit()", "box.close(5)", "box.flush(9); os._exit(0)", "del box"]
)
def test_however_a_process_ends_that_may_still_act(lines: Lines, end: str) -> None:
    ran(HEAD + BOX + "put('a', 700); " + end, lines.folder)
    assert lines.paths() == paths("a", 700)


def test_what_the_storage_did_not_take_at_the_end_is_stored_by_the_next_process(lines: Lines) -> None:
    lines.away()
    ran(HEAD + BOX + "put('a', 1200)", lines.folder)
    ran(HEAD + BOX + "put('b', 1200)", lines.folder)
    assert lines.paths() == []
    lines.back()
    ran(HEAD + BOX + "put('c', 5)", lines.folder)
    ran(HEAD + BOX + WAITS_FOR_REST, lines.folder)
    assert sorted(lines.paths()) == sorted(
        paths("a", 1200) + paths("b", 1200) + paths("c", 5) + paths("d", 1)
    )
    assert len(lines.by_source()) == 4
    assert list((lines.folder / "spool").iterdir()) == []


WAITS_FOR_REST = """
from tests.waiting import until
put('d', 1)
until(lambda: not list((folder / "spool").iterdir()))
"""

HANGING = """
from tests.spooling import Lines, page
from tracker import outbox
outbox.EXIT = 0.2
class Hanging(Lines):
    def store(self, hits):
        time.sleep(600)
box = outbox.Outbox(Hanging(folder), "test", folder / "spool")
for n in range(1000):
    box.put(page(f"/a/{n}"))
"""


def test_a_storage_that_hangs_holds_up_the_end_of_a_process_for_seconds_at_most(lines: Lines) -> None:
    ran(HEAD + HANGING, lines.folder)
    ran(HEAD + BOX + WAITS_FOR_REST, lines.folder)
    assert lines.paths() == [*paths("a", 1000), "/d/0"]


def test_a_killed_process_loses_nothing_that_its_spool_has(lines: Lines) -> None:
    lines.away()
    script = (
        HEAD + BOX + "put('a', 3000); print(box.flush(20), box.counts.spooled, flush=True); sys.stdin.read()"
    )
    with started(script, lines.folder) as process:
        assert process.stdout is not None
        assert process.stdout.readline().split() == ["True", "3000"]
        process.send_signal(signal.SIGKILL)
    lines.back()
    ran(HEAD + BOX + WAITS_FOR_REST, lines.folder)
    assert lines.paths() == [*paths("a", 3000), "/d/0"]


FORKS = """
def child(who, count):
    pid = os.fork()
    if pid == 0:
        assert box.counts.waiting == 0
        put(who, count)
        sys.exit()
    return pid
stop = threading.Event()
sent = [0, 0, 0]
def busy(name):
    while not stop.is_set():
        box.put(page(f"/{name}/{sent[name]}"))
        sent[name] += 1
        time.sleep(0.00002)
threads = [threading.Thread(target=busy, args=(name,)) for name in range(3)]
for thread in threads:
    thread.start()
children = [child(f"child{n}", 200) for n in range(12)]
statuses = [os.waitpid(pid, 0)[1] for pid in children]
stop.set()
for thread in threads:
    thread.join()
print(json.dumps([sent, statuses]))
"""


def test_children_forked_while_the_parent_is_busy_store_their_own_hits_and_no_others(lines: Lines) -> None:
    sent, statuses = answer(BOX + FORKS, lines.folder)
    assert statuses == [0] * 12
    for name, count in enumerate(sent):
        assert of(lines, str(name)) == paths(str(name), count)
    for n in range(12):
        assert of(lines, f"child{n}") == paths(f"child{n}", 200)
    assert len(lines.by_source()) == 13


def test_children_forked_while_the_storage_is_away_leave_their_hits_to_others(lines: Lines) -> None:
    lines.away()
    sent, statuses = answer(BOX + FORKS, lines.folder)
    assert statuses == [0] * 12
    lines.back()
    ran(HEAD + BOX + WAITS_FOR_REST, lines.folder)
    for name, count in enumerate(sent):
        assert of(lines, str(name)) == paths(str(name), count)
    assert sum(len(of(lines, f"child{n}")) for n in range(12)) == 12 * 200
    assert len(lines.by_source()) == 14


def test_many_forks_made_by_a_thread_while_others_put_never_hang(lines: Lines) -> None:
    script = """
stop = threading.Event()
lines.away()
def busy(name):
    n = 0
    while not stop.is_set():
        box.put(page(f"/busy{name}/{n}"))
        n += 1
        time.sleep(0.0001)
threads = [threading.Thread(target=busy, args=(name,)) for name in range(4)]
for thread in threads:
    thread.start()
bad = 0
for n in range(60):
    pid = os.fork()
    if pid == 0:
        box.put(page(f"/{n}/0"))
        os._exit(0 if box.flush(20) else 1)
    bad += os.waitpid(pid, 0)[1] != 0
stop.set()
for thread in threads:
    thread.join()
print(bad)
"""
    assert answer(BOX + script, lines.folder) == 0
    lines.back()
    ran(HEAD + BOX + WAITS_FOR_REST, lines.folder)
    assert [of(lines, str(n)) for n in range(60)] == [[f"/{n}/0"] for n in range(60)]


MULTIPROCESSING = """
import multiprocessing
context = multiprocessing.get_context("fork")
put("parent", 10)
workers = [context.Process(target=put, args=(f"worker{n}", 300)) for n in range(3)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(json.dumps([worker.exitcode for worker in workers]))
"""


def test_children_of_multiprocessing_which_end_without_atexit_store_their_hits(lines: Lines) -> None:
    assert answer(BOX + MULTIPROCESSING, lines.folder) == [0, 0, 0]
    for n in range(3):
        assert of(lines, f"worker{n}") == paths(f"worker{n}", 300)
    assert of(lines, "parent") == paths("parent", 10)


PATCH = "from gevent import monkey; monkey.patch_all()\n"

GREENLETS = """
import gevent
def visitor(name):
    for n in range(100):
        box.put(page(f"/{name}/{n}"))
        gevent.sleep(0)
gevent.joinall([gevent.spawn(visitor, name) for name in range(20)], raise_error=True)
assert box.flush(20)
print(box.counts.stored)
"""

ORDERS = {
    "before the import": PATCH + HEAD + BOX + GREENLETS,
    "after the import": HEAD + "import tracker.outbox\n" + PATCH + BOX + GREENLETS,
    "after it was made": HEAD + BOX + PATCH + GREENLETS,
    "in a child forked later": HEAD + BOX + "put('master', 5)\n"
    "pid = os.fork()\nif pid:\n    status = os.waitpid(pid, 0)[1]; sys.exit(status)\n" + PATCH + GREENLETS,
}


@pytest.mark.parametrize("script", ORDERS.values(), ids=ORDERS)
def test_gevent_may_patch(lines: Lines, script: str) -> None:
    assert json.loads(ran(script, lines.folder)) == 2000
    for name in range(20):
        assert of(lines, str(name)) == paths(str(name), 100)
    assert of(lines, "master") == (paths("master", 5) if "master" in script else [])


def test_under_gevent_a_slow_storage_a_slow_disk_and_a_full_queue_hold_up_no_greenlet(lines: Lines) -> None:
    script = """
import gevent
real, slow = monkey.get_original("time", "sleep"), os.fsync
os.fsync = lambda file: (real(0.3), slow(file))
lines.away()
for n in range(8000):
    box.put(page(f"/a/{n}"))
ticks = 0
while box.counts.spooled < 1500:
    gevent.sleep(0.01)
    ticks += 1
lines.back()
os.fsync = slow
assert box.flush(20)
while box.counts.stored < 8000:
    gevent.sleep(0.01)
print(ticks)
"""
    ticks = json.loads(ran(PATCH + HEAD + BOX + script, lines.folder))
    assert ticks >= 15  # some 90 of them; 3 where the disk holds everybody up
    assert lines.paths() == paths("a", 8000)


@pytest.mark.parametrize("away", [False, True], ids=["within reach", "away"])
def test_under_gevent_what_is_queued_is_not_lost_at_the_end(lines: Lines, away: bool) -> None:
    if away:
        lines.away()
    ran(PATCH + HEAD + BOX + "put('a', 1000)", lines.folder)
    if away:
        lines.back()
        ran(HEAD + BOX + WAITS_FOR_REST, lines.folder)
    assert of(lines, "a") == paths("a", 1000)


def test_a_greenlet_that_gevent_copies_into_a_child_stores_nothing(lines: Lines) -> None:
    script = """
import gevent
lines.away()
put("parent", 600)
gevent.sleep(0.05)
pid = os.fork()
if pid == 0:
    gevent.sleep(0.2)
    put("child", 100)
    lines.back()
    gevent.sleep(0.2)
    sys.exit()
print(os.waitpid(pid, 0)[1])
assert box.flush(20)
"""
    assert ran(PATCH + HEAD + BOX + script, lines.folder).split() == ["0"]
    ran(HEAD + BOX + WAITS_FOR_REST, lines.folder)
    assert of(lines, "parent") == paths("parent", 600)
    assert of(lines, "child") == paths("child", 100)
    assert len(lines.by_source()) == 3


def test_a_fork_that_python_does_not_know_of_has_a_source_of_its_own(lines: Lines) -> None:
    script = """
import ctypes
libc = ctypes.PyDLL(None)
pid = libc.fork()
if pid == 0:
    put("child", 10)
    assert box.flush(20)
    os._exit(0)
os.waitpid(pid, 0)
put("parent", 10)
"""
    ran(HEAD + BOX + script, lines.folder)
    assert (of(lines, "child"), of(lines, "parent")) == (paths("child", 10), paths("parent", 10))
    assert len(lines.by_source()) == 2


def test_two_outboxes_of_one_process_share_a_directory(lines: Lines, tmp_path: Path) -> None:
    lines.away()
    boxes = [Outbox(lines, "test", tmp_path / "spool") for _ in range(2)]
    for n in range(10):
        boxes[n % 2].put(page(f"/{n % 2}/{n // 2}"))
    assert until(lambda: sum(box.counts.spooled for box in boxes) == 10)
    lines.back()
    assert until(lambda: len(lines.paths()) == 10)
    assert [of(lines, "0"), of(lines, "1")] == [paths("0", 5), paths("1", 5)]
    for box in boxes:
        box.close(5)
