"""Streams: many connections and one writer. Whole messages, the newest first to the slow, an end for all."""

import gc
import socket
import tracemalloc
from _socket import socket as plain_socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitwall.server import GONE, UNSENT
from summaries import streams as module
from summaries.feed import END, Feed
from summaries.streams import SHARE, SLOWEST, STUCK, Streams, pace
from summaries.viewer import Viewer
from tests.hits import SITE
from tests.test_crowds import on_its_own_hub

LARGE = 400_000  # bytes: more than the kernel takes unread
ROOM = 4096  # bytes that it is asked to take
PATIENCE = 10.0  # seconds


class Stage:
    """Streams of one feed; the far ends are ours."""

    def __init__(self) -> None:
        self.left = 0
        self.feed = Feed(SITE, "hour")
        self.streams = Streams(self._leave)
        self._far: list[socket.socket] = []

    def _leave(self, feed: Feed) -> None:
        assert feed is self.feed
        self.left += 1

    def open(self, chunked: bool = False, room: int = 0) -> socket.socket:
        near, far = socket.socketpair()
        if room:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
        near.setblocking(False)
        far.setblocking(False)
        self._far.append(far)
        self.streams.take(plain_socket(fileno=near.detach()), self.feed, chunked)
        return far

    def open_tcp(self, patience: float) -> socket.socket:
        """Over TCP, whose kernel ends a connection after so many seconds, and takes little unread."""
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as far:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
            far.connect(server.getsockname())
            near, _ = server.accept()
            far = far.dup()
        for option, value in (("TCP_USER_TIMEOUT", int(1000 * patience)), ("TCP_NOTSENT_LOWAT", UNSENT)):
            near.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        near.setblocking(False)
        self._far.append(far)
        self.streams.take(plain_socket(fileno=near.detach()), self.feed, False)
        return far

    def tell(self, message: bytes) -> None:
        self.feed._wake(message, b"%x\r\n%b\r\n" % (len(message), message))
        self.streams.tell(self.feed)

    def close(self) -> None:
        """End all."""
        self.feed.close()
        self.streams.tell(self.feed)

    def leave(self) -> None:
        """What a test has left."""
        for far in self._far:
            far.close()
        reach(lambda: self.streams.open == 0)


def reach(there: Callable[[], bool]) -> None:
    """Let the greenlets of this hub work until it is so."""
    with gevent.Timeout(PATIENCE):
        while not there():
            gevent.sleep(0.001)


def taken(far: socket.socket) -> bytes:
    """What can be read just now; ends with END where that is the end of the connection."""
    pieces = []
    try:
        while piece := far.recv(65_536):
            pieces.append(piece)
        pieces.append(END)
    except BlockingIOError:
        pass
    return b"".join(pieces)


def read(far: socket.socket, size: int) -> bytes:
    """So many bytes, or all up to the end."""
    found = b""

    def enough() -> bool:
        nonlocal found
        found += taken(far)
        return len(found) >= size or found.endswith(END)

    reach(enough)
    return found


def letters(number: int, size: int = LARGE) -> bytes:
    """A message that differs from the others in each of its bytes."""
    return bytes([65 + number]) * size


@contextmanager
def staged() -> Iterator[Stage]:
    stage = Stage()
    try:
        yield stage
    finally:
        stage.leave()


def check(work: Callable[[Stage], None]) -> None:
    def checks() -> None:
        with staged() as stage:
            work(stage)

    on_its_own_hub(checks)


def test_all_get_the_same_bytes_in_chunks_or_as_they_are() -> None:
    def work(stage: Stage) -> None:
        stage.tell(b"one")
        plain, chunked = stage.open(), stage.open(chunked=True)
        assert (read(plain, 3), read(chunked, 8)) == (b"one", b"3\r\none\r\n")
        stage.tell(b"two")
        assert (read(plain, 3), read(chunked, 8)) == (b"two", b"3\r\ntwo\r\n")
        stage.close()
        assert (read(plain, 9), read(chunked, 9)) == (END, END + END)
        reach(lambda: stage.left == 2)
        assert stage.streams.open == 0

    check(work)


def test_a_stream_that_a_signal_ends_while_it_is_written_to_has_its_end_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put = Viewer._put

    def work(stage: Stage) -> None:
        def interrupted(viewer: Viewer, data: bytes) -> int:
            sent = put(viewer, data)
            monkeypatch.undo()
            stage.close()
            return sent

        walls = [stage.open(chunked=True) for _ in range(2)]
        monkeypatch.setattr(Viewer, "_put", interrupted)
        stage.tell(b"one")
        assert read(walls[0], 18) == b"3\r\none\r\n" + END + END
        assert read(walls[1], 18).endswith(END + END)
        stage.tell(b"late")
        assert stage.feed.chunk == END

    check(work)


def test_who_closes_is_noticed_though_nothing_is_sent() -> None:
    def work(stage: Stage) -> None:
        stays, goes = stage.open(), stage.open()
        goes.close()
        reach(lambda: stage.left == 1)
        assert stage.streams.open == 1
        stage.tell(b"one")
        assert read(stays, 3) == b"one"

    check(work)


def test_who_talks_is_not_listened_to_and_gets_what_all_get() -> None:
    def work(stage: Stage) -> None:
        talks = stage.open()
        for number in range(3):
            talks.send(b"GET / HTTP/1.1\r\n" * 99)
            stage.tell(letters(number, 3))
            assert read(talks, 3) == letters(number, 3)
        talks.close()
        stage.tell(b"one")
        reach(lambda: stage.left == 1)

    check(work)


def test_a_slow_viewer_gets_the_message_it_is_in_to_its_end_and_then_the_newest() -> None:
    def work(stage: Stage) -> None:
        slow, quick = stage.open(room=ROOM), stage.open()
        for number in range(4):
            stage.tell(letters(number))
            assert read(quick, LARGE) == letters(number)
        assert read(slow, 2 * LARGE) == letters(0) + letters(3)

    check(work)


@pytest.mark.parametrize("chunked", [False, True])
def test_the_end_comes_after_the_message_that_is_on_its_way(chunked: bool) -> None:
    def work(stage: Stage) -> None:
        slow = stage.open(chunked, ROOM)
        stage.tell(letters(0))
        gevent.sleep(0.01)
        stage.close()
        begun = b"%x\r\n%b\r\n" % (LARGE, letters(0)) + END if chunked else letters(0)
        assert read(slow, 2 * LARGE) == begun + END

    check(work)


def test_who_comes_after_the_end_gets_it_at_once() -> None:
    def work(stage: Stage) -> None:
        stage.tell(b"one")
        stage.close()
        plain, chunked = stage.open(), stage.open(chunked=True)
        assert (read(plain, 9), read(chunked, 9)) == (END, END + END)
        assert stage.left == 2

    check(work)


def test_who_takes_nothing_for_long_goes_and_who_is_only_slow_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STUCK", 1.0)
    monkeypatch.setattr(module, "LOOK", 0.05)

    def work(stage: Stage) -> None:
        dead, slow = stage.open(room=ROOM), stage.open(room=ROOM)
        number, got = 0, b""
        while stage.left == 0:  # the slow one has never all that there is
            stage.tell(letters(number % 20))
            got = read(slow, LARGE)
            number += 1
        assert number > 2
        assert taken(dead).endswith(END)
        stage.tell(letters(30, 3))
        while not got.endswith(letters(30, 3)):
            got = read(slow, 1)
            assert not got.endswith(END)

    check(work)


def test_who_has_gone_and_who_takes_nothing_keep_their_place_equally_long() -> None:
    assert GONE == 1000 * STUCK


def test_who_reads_slowly_stays_though_the_kernel_would_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 0.05)

    def work(stage: Stage) -> None:
        slow = stage.open_tcp(0.2)
        for number in range(15):  # 10 kB/s; a kernel that is not told otherwise ends it after six
            stage.tell(letters(number, 10_000))
            gevent.sleep(0.1)
            assert slow.recv(1024)
        assert stage.left == 0
        monkeypatch.setattr(module, "STUCK", 0.2)
        reach(lambda: stage.left == 1)

    check(work)


def test_law_10_what_waits_for_slow_viewers_is_there_once() -> None:
    def work(stage: Stage) -> None:
        far = [stage.open(room=ROOM) for _ in range(50)]
        gc.collect()
        tracemalloc.start()
        try:
            for number in range(5):
                stage.tell(letters(number))
                gevent.sleep(0.02)
            held = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert held < 5 * LARGE  # the message that all are in, the newest, and both in chunks
        assert all(each.fileno() > 0 for each in far)

    check(work)


def test_law_8_others_have_their_turn_while_a_message_is_written() -> None:
    def work(stage: Stage) -> None:
        far = [stage.open() for _ in range(400)]
        turns = 0

        def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                gevent.sleep(0)

        counting = gevent.spawn(count)
        gevent.sleep(0.01)
        stage.tell(letters(0, 20_000))
        before = turns
        assert len(read(far[-1], 20_000)) == 20_000
        counting.kill()
        assert turns - before > 3

    check(work)


def test_should_the_writer_fail_all_go_and_the_next_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(stage: Stage) -> None:
        monkeypatch.setattr(gevent.get_hub(), "print_exception", lambda *_: None)
        far = [stage.open() for _ in range(3)]
        with monkeypatch.context() as patched:
            patched.setattr(stage.streams, "_attend", lambda: 1 / 0)
            stage.tell(b"one")
            reach(lambda: stage.left == 3)
        assert [taken(each) for each in far] == [END] * 3
        stage.feed.message = b""
        again = stage.open()
        stage.tell(b"two")
        assert read(again, 3) == b"two"

    check(work)


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([1, 900, 60_000, LARGE]), min_size=1, max_size=8),
    reads=st.lists(st.sampled_from([0, 1, 30_000, LARGE]), min_size=8, max_size=8),
    chunked=st.booleans(),
)
def test_whatever_is_read_when_it_is_whole_messages_in_order_and_the_newest_at_last(
    sizes: list[int], reads: list[int], chunked: bool
) -> None:
    def work(stage: Stage) -> None:
        far, got = stage.open(chunked, ROOM), b""
        for number, size in enumerate(sizes):
            stage.tell(letters(number, size))
            gevent.sleep(0.001)
            if reads[number]:
                try:
                    got += far.recv(reads[number])
                except BlockingIOError:
                    gevent.sleep(0)
        stage.close()
        got += read(far, 10**9)
        whole = [letters(number, size) for number, size in enumerate(sizes)]
        seen = [number for number, message in enumerate(whole) if message in got]
        said = [b"%x\r\n%b\r\n" % (len(m), m) if chunked else m for m in (whole[n] for n in seen)]
        assert got == b"".join(said) + (END if chunked else b"") + END
        assert all(a < b for a, b in pairwise(seen))

    check(work)


def test_law_6_what_the_first_wall_alone_cost_slows_down_no_thousand() -> None:
    streams = Streams(lambda _: None)
    streams.open = 1
    streams._measure(1, 0.0001)  # mostly for waking up
    streams.open = 1000
    streams._measure(1000, 0.01)
    assert streams.apart(0.25) == 0.25
    for _ in range(50):
        streams._measure(1, 0.0001)  # of a site that one wall shows
    assert streams.apart(0.25) == 0.25
    for _ in range(10):
        streams._measure(1000, 0.05)
    assert 0.45 < streams.apart(0.25) < 0.5


@given(cost=st.floats(0, 10), least=st.floats(0.1, 0.5))
def test_law_6_frames_are_further_apart_the_more_they_cost_and_never_a_second(
    cost: float, least: float
) -> None:
    assert least <= pace(cost, least) <= SLOWEST < 1
    assert pace(cost, least) in (least, SLOWEST, cost / SHARE)
