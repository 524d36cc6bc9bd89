"""One log line a minute, with how many there were since the last."""

import logging

import pytest

from tests.spooling import ran
from tracker import seldom
from tracker.seldom import Seldom

log = logging.getLogger(__name__)


def test_the_first_is_told_at_once_and_the_others_a_minute_later_with_their_number(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([5.0, 6.0, 7.0, 5.0 + seldom.MINUTE, 5.0 + seldom.MINUTE])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    told = Seldom(log, logging.WARNING, "%d hits at %s")
    told.tell()
    told.add(1, "first")
    told.add(2, "second")
    told.add(3, "third")
    told.tell()
    told.tell()
    monkeypatch.undo()
    assert caplog.messages == ["1 hits at first", "5 hits at third"]


def test_a_line_is_one_line_that_no_terminal_obeys(caplog: pytest.LogCaptureFixture) -> None:
    Seldom(log, logging.WARNING, "%d hits: %s").add(1, ValueError("a\nroot logged in\x1b[2J\x9b2J"))
    assert caplog.messages == ["1 hits: a root logged in [2J 2J"]


def test_at_the_end_the_rest_is_told_now(caplog: pytest.LogCaptureFixture) -> None:
    told = Seldom(log, logging.WARNING, "%d hits")
    told.add(1)
    told.add(4)
    told.tell(now=True)
    told.tell(now=True)
    assert caplog.messages == ["1 hits", "4 hits"]


def test_a_child_that_is_forked_while_a_line_is_written_can_write_as_well() -> None:
    script = """
import logging, os, threading, time
from tracker.seldom import say

class Stream:  # as standard error is, it has a lock that nobody opens after a fork
    lock, writes = threading.Lock(), threading.Event()

    def write(self, text):
        with self.lock:
            self.writes.set()
            time.sleep(0.2)

    def flush(self):
        pass

logging.basicConfig(stream=Stream())
line = logging.getLogger(), logging.ERROR, "hits are kept"
thread = threading.Thread(target=say, args=line)
thread.start()
Stream.writes.wait()
child = os.fork()
say(*line)
if child == 0:
    os._exit(0)
thread.join()
print(os.waitpid(child, 0)[1])
"""
    assert ran(script) == "0\n"
