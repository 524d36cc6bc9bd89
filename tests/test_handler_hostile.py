"""The handler of requests and who means it ill: one connection costs no other its turn or its answer."""

import socket as sockets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from hitwall import handler, owed
from tests.served import HEAD, PIXEL, POST, Served, both_ways, rest, serving, until
from tests.smuggling import statuses
from tracker.answers import GIF, Answer, refused


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server whose door answers at once."""
    with serving(monkeypatch) as made:
        yield made


@both_ways
def test_what_is_left_of_a_body_that_stops_in_the_middle_is_no_request(
    served: Served, target: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "IDLE", 0.05)
    hidden = HEAD % PIXEL + b"\r\n"
    with served.connect() as door:
        door.sendall(POST % (target + b"refused", 5 + len(hidden), b"a=123"))
        answer = door.recv(65_536)
        until(lambda: all(each.patience == 1 for each in handler.OPEN))  # nobody waits for the body any more
        with suppress(ConnectionError):
            door.sendall(hidden)
        answer += rest(door, ends=False)
    assert statuses(answer) == [400]
    assert served.door.environs == []


@both_ways
@pytest.mark.parametrize("said", [b"Upgrade: websocket\r\n", b"Connection: Upgrade\r\n"])
def test_a_body_is_read_once_though_its_client_asks_for_another_protocol(
    served: Served, target: bytes, said: bytes
) -> None:
    begun = (POST % (target, 5, b"a=")).replace(b"Host", said + b"Host")
    assert statuses(served.talk(begun, b"123" + HEAD % target + b"\r\n")) == [204, 200]
    assert served.door.bodies == [b"a=123", b""]


@both_ways
def test_who_sends_many_requests_at_once_leaves_others_their_turn_after_each(
    served: Served, target: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = [0]  # in each turn of others

    def others() -> None:
        while True:
            answered.append(0)
            gevent.sleep(0)

    def counts(method: str, status: int, why: str) -> Answer:
        answered[-1] += 1
        return refused(method, status, why)

    monkeypatch.setattr("tests.served.refused", counts)
    other = gevent.spawn(others)
    try:
        assert len(statuses(served.talk((HEAD % (target + b"refused") + b"\r\n") * 1000))) == 1000
    finally:
        other.kill()
    assert max(answered) <= 2


@pytest.mark.parametrize("after", [b"", HEAD % PIXEL + b"\r\n"], ids=["alone", "with another"])
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_fault_of_the_door_leaves_the_page_whole_and_is_told(
    served: Served, method: bytes, after: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(environ: object) -> None:
        raise KeyError

    errors: list[type] = []
    monkeypatch.setattr(gevent.get_hub(), "print_exception", lambda _, kind, *rest: errors.append(kind))
    monkeypatch.setattr(served.door, "read", fails)
    with served.connect() as door:
        door.sendall((HEAD % PIXEL).replace(b"GET", method) + b"\r\n" + after)
        answer = rest(door, ends=False)
    assert statuses(answer) == [500]
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(GIF)
    assert errors == [KeyError]
    monkeypatch.setattr(served.door, "read", lambda environ: None)
    assert statuses(served.talk(HEAD % PIXEL + b"\r\n")) == [200]


def test_hits_for_which_the_door_has_to_wait_hold_up_no_other(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = Event()
    monkeypatch.setattr(served.door, "read", waits(served.door.read, go_on))
    with ExitStack() as stack:
        doors = [stack.enter_context(served.connect()) for _ in range(30)]
        for door in doors[::2]:
            door.sendall(HEAD % b"/a.gif?slow" + b"\r\n")
        for door in doors[1::2]:
            door.sendall(HEAD % PIXEL + b"\r\n")
        assert all(statuses(door.recv(65_536)) == [200] for door in doors[1::2])
        for door in doors[::4]:  # comes after a hit that waits
            door.sendall(HEAD % PIXEL + b"\r\n")
        gevent.sleep(0.01)
        go_on.set()
        assert [len(statuses(rest(door))) for door in doors[::4]] == [2] * 8
        assert [len(statuses(rest(door))) for door in doors[2::4]] == [1] * 7


def waits(read: Callable[[dict[str, Any]], None], go_on: Event) -> Callable[[dict[str, Any]], None]:
    """The same as `read`, though a slow hit takes until it may go on."""

    def waiting(environ: dict[str, Any]) -> None:
        if environ["QUERY_STRING"] == "slow":
            go_on.wait(10)
        read(environ)

    return waiting


def test_who_does_not_take_an_answer_in_its_time_is_cut_off_and_gets_none_behind_half_of_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owed, "IDLE", 0.05)
    served.server.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 4096)
    with socket.socket() as slow:
        slow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 2048)
        slow.settimeout(10)
        slow.connect(served.server.address)
        slow.sendall((HEAD % PIXEL + b"\r\n") * 100)
        until(lambda: handler.OPEN)
        until(lambda: not handler.OPEN)
        answers = rest(slow, ends=False)
    taken = len(served.door.environs)
    assert taken < 100
    assert answers.count(b"HTTP/1.1 200 OK") <= taken
    *whole, half = answers.split(GIF)
    assert {len(answer) for answer in whole} == {len(whole[0])}
    assert len(half) < len(whole[0] + GIF)
