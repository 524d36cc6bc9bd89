"""Readers, which take the hits of all connections: what goes wrong with one ends that connection alone."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import gevent
import pytest
from gevent import Greenlet, socket
from gevent.event import Event

from hitwall import handler, owed, readers
from tests.served import HEAD, PIXEL, Served, rest, serving, until
from tests.smuggling import statuses

HIT = HEAD % PIXEL + b"\r\n"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server whose door answers at once; what fails is not printed."""
    monkeypatch.setattr(gevent.get_hub(), "print_exception", lambda *failed: None)
    with serving(monkeypatch) as made:
        yield made


def answers(door: socket.socket) -> list[int]:
    door.sendall(HIT)
    return statuses(door.recv(65_536))


def fails(*given: object) -> Any:
    raise KeyError


@pytest.mark.parametrize("fault", [(handler, "_whole_hit"), (owed, "counted")], ids=["hit", "answer"])
def test_an_error_of_ours_closes_the_connection_lest_the_next_answer_is_taken_for_the_missing_one(
    served: Served, fault: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with served.connect() as other, served.connect() as door:
        assert answers(other) == answers(door) == [200]
        with monkeypatch.context() as patch:
            patch.setattr(*fault, fails)
            door.sendall(HIT)
            assert rest(door, ends=False) == b""
        assert answers(other) == [200]


def test_a_reader_that_cannot_be_made_leaves_nobody_unheard(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    def make(run: Any) -> Any:
        made.append(Greenlet(run))
        if len(made) == 1:
            raise MemoryError
        return made[-1]

    monkeypatch.setattr(readers, "Greenlet", make)
    readers.IDLE.clear()
    with served.connect() as door:
        assert answers(door) == [200]
    assert len(made) == 2


def test_a_reader_that_is_woken_for_nothing_is_not_called_while_it_waits(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served.connect() as door:
        assert answers(door) == [200]
    for reader in list(readers.IDLE) * 2:
        gevent.get_hub().loop.run_callback(reader.switch)
    gevent.sleep(0)
    go_on = Event()
    monkeypatch.setattr(served.door, "read", lambda environ: go_on.wait(10))
    with ExitStack() as stack:
        doors = [stack.enter_context(served.connect()) for _ in range(4)]
        for door in doors:
            door.sendall(HIT)
        gevent.sleep(0.01)
        go_on.set()
        assert [statuses(door.recv(65_536)) for door in doors] == [[200]] * 4


@pytest.mark.parametrize("is_idle", [True, False], ids=["idle", "waiting"])
def test_a_reader_that_is_killed_is_followed_by_another(
    served: Served, is_idle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[Any] = []

    def waits(environ: object) -> None:
        waiting.append(gevent.getcurrent())
        gevent.sleep(10)

    with served.connect() as other, served.connect() as door:
        assert answers(other) == [200]
        if is_idle:
            gevent.killall(list(readers.IDLE))
        else:
            with monkeypatch.context() as patch:
                patch.setattr(served.door, "read", waits)
                door.sendall(HIT)
                until(lambda: waiting)
            waiting[0].kill()
            assert statuses(rest(door, ends=False)) == [500]
        assert answers(other) == answers(other) == [200]
