"""The handler of requests, on a server in this process: whichever way one goes, a visitor cannot tell."""

import random
import socket as sockets
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import gevent
import pytest
from gevent import socket

from hitwall.handler import BODY, OPEN, Handler, close_silent
from hitwall.ordinary import HANDED_OVER
from hitwall.owed import IDLE
from hitwall.server import SERVING
from tests.faults.ledger import FULL
from tests.served import ELSEWHERE, HEAD, PIXEL, POST, Door, Served, both_ways, rest, serving, until
from tests.smuggling import PLAIN, REFUSED, TARGET, statuses

ROUNDS = 10_000 if FULL else 600


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server whose door answers at once."""
    with serving(monkeypatch) as made:
        yield made


@pytest.fixture
def held(served: Served) -> Served:
    """A server whose door answers when it is told to."""
    served.door.holds = True
    return served


def moved(request: bytes, target: bytes) -> bytes:
    """The same request for another target, where it had one of ours."""
    for ours in (TARGET, b"/a.gif", b"/api/hits", b"/absent"):
        if ours in request.split(b"\n")[0]:
            return request.replace(ours, target, 1)
    return request


def verdicts(served: Served, request: bytes) -> list[list[int]]:
    """The statuses that answer it, as a hit and as any other request."""
    return [statuses(served.talk(moved(request, target))) for target in (PIXEL, ELSEWHERE)]


@both_ways
@pytest.mark.parametrize("name", REFUSED)
def test_what_two_servers_could_read_differently_is_refused_whatever_it_asks_for(
    served: Served, name: str, target: bytes
) -> None:
    request, expected = REFUSED[name]
    answer = served.talk(moved(request, target))
    [status] = statuses(answer)
    assert status in expected
    assert b"\r\nConnection: close\r\n" in answer
    assert served.door.environs == []


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_in_a_whole_request_is_no_request_either_way(served: Served, name: str) -> None:
    request = moved(PLAIN[name][0], b"/a.gif?refused")
    served.talk(request + HEAD % PIXEL + b"\r\n")
    served.talk(moved(request, b"/elsewhere?refused") + HEAD % PIXEL + b"\r\n")
    assert [environ["QUERY_STRING"] for environ in served.door.environs][-1] == PIXEL.partition(b"?")[
        2
    ].decode()


def test_law_12_the_same_bytes_get_the_same_answers_either_way(served: Served) -> None:
    dice = random.Random(20261121)
    corpus = [request for request, _ in [*REFUSED.values(), *PLAIN.values()] if len(request) < 1000]
    corpus += [HEAD % PIXEL + b"\r\n", POST % (PIXEL, 5, b"b=123")] * 30
    seen: set[int] = set()
    for _ in range(ROUNDS):
        request = b"".join(mutated(dice, dice.choice(corpus)) for _ in range(dice.choice((1, 2, 3))))
        lean, ordinary = verdicts(served, request)
        assert lean == ordinary, request
        seen.update(lean)
    assert seen >= {200, 204, 400, 405, 411}


def mutated(dice: random.Random, text: bytes) -> bytes:
    """A few changes behind the target, perhaps none."""
    begin = text.find(TARGET) + len(TARGET) if TARGET in text else len(text)
    for _ in range(dice.choice((0, 0, 1, 2))):
        at = dice.randrange(begin, len(text) + 1)
        new = dice.choice((b"", b"\r\n", b"\n", b" ", b":", b"\0", b"\xff", dice.randbytes(3)))
        text = text[:at] + new + text[at + dice.choice((0, 1, 3)) :]
    return text


@both_ways
def test_a_head_may_come_byte_by_byte(served: Served, target: bytes) -> None:
    request = HEAD % target + b"X-A: \xc3\xa0 b\r\n\r\n"
    assert statuses(served.talk(*(request[n : n + 1] for n in range(len(request))))) == [200]
    assert len(served.door.environs) == 1
    assert served.door.environs[0]["HTTP_HOST"] == "a"


@both_ways
def test_a_body_may_come_in_pieces_and_with_the_beginning_of_the_next_request(
    served: Served, target: bytes
) -> None:
    body = b"t=" + b"a" * 1000
    request = POST % (target, len(body), body) + HEAD % target + b"\r\n"
    for cut in range(1, len(request), 37):
        pieces = request[:cut], request[cut : cut + 500], request[cut + 500 :]
        assert statuses(served.talk(*pieces)) == [204, 200]
    assert set(served.door.bodies) == {body, b""}


@both_ways
@pytest.mark.parametrize(
    ("version", "said", "stays", "told"),
    [
        (b"1.1", b"", True, None),
        (b"1.1", b"keep-alive", True, None),
        (b"1.1", b"close", False, b"close"),
        (b"1.1", b"Keep-Alive, Close", False, b"close"),
        (b"1.0", b"", False, b"close"),
        (b"1.0", b"Keep-Alive", True, b"keep-alive"),
    ],
)
def test_a_connection_stays_open_where_its_client_wants_it(
    served: Served, target: bytes, version: bytes, said: bytes, stays: bool, told: bytes | None
) -> None:
    head = (HEAD % target).replace(b"1.1", version) + (b"Connection: %b\r\n" % said if said else b"")
    answer = served.talk(head + b"\r\n" + head + b"\r\n")
    assert statuses(answer) == [200] * (1 + stays)
    assert answer.count(b"\r\nConnection: ") == (0 if told is None else 1 + stays)
    assert told is None or b"\r\nConnection: %b\r\n" % told in answer


@both_ways
def test_the_body_of_a_get_is_no_request(served: Served, target: bytes) -> None:
    hidden = HEAD % PIXEL + b"\r\n"
    request = HEAD % target + b"Content-Length: %d\r\n\r\n" % len(hidden) + hidden
    assert statuses(served.talk(request + HEAD % target + b"\r\n")) == [200, 200]


def test_requests_that_come_together_are_answered_in_their_order_whoever_answers(served: Served) -> None:
    kinds = {
        HEAD % PIXEL + b"\r\n": 200,
        POST % (PIXEL, 5, b"b=123"): 204,
        HEAD % b"/a.gif?refused" + b"\r\n": 400,
        HEAD % b"/elsewhere?refused" + b"\r\n": 400,
        POST % (ELSEWHERE, 5, b"b=123"): 204,
        (HEAD % PIXEL).replace(b"GET", b"PUT") + b"\r\n": 405,
    }
    dice = random.Random(6)
    sent = [dice.choice(list(kinds)) for _ in range(300)]
    assert statuses(served.talk(b"".join(sent))) == [kinds[request] for request in sent]


def test_64_kb_of_hits_at_once_are_each_taken_once_and_answered_in_order(served: Served) -> None:
    requests = [HEAD % b"/a.gif?url=%d" % n + b"\r\n" for n in range(1700)]
    assert sum(map(len, requests)) > 65_536
    assert statuses(served.talk(b"".join(requests))) == [200] * 1700
    assert [environ["QUERY_STRING"] for environ in served.door.environs] == [f"url={n}" for n in range(1700)]


def test_what_follows_a_hit_waits_until_that_is_answered(held: Served) -> None:
    with held.connect() as door:
        door.sendall(HEAD % PIXEL + b"\r\n" + HEAD % ELSEWHERE + b"\r\n")
        until(lambda: held.door.waiting)
        gevent.sleep(0.01)
        assert len(held.door.environs) == 1
        held.door.tell()
        assert statuses(rest(door)) == [200, 200]


@pytest.mark.parametrize("after", [b"", b"nonsense\r\n\r\n"], ids=["end", "nonsense"])
def test_a_hit_is_answered_though_its_client_sends_no_more_or_nonsense(held: Served, after: bytes) -> None:
    with held.connect() as door:
        door.sendall(HEAD % PIXEL + b"\r\n" + after)
        door.shutdown(sockets.SHUT_WR)
        until(lambda: held.door.waiting)
        gevent.sleep(0.01)
        held.door.tell()
        assert statuses(rest(door, ends=False)) == [200] + [400] * bool(after)


def test_a_hit_that_is_not_stored_is_told_so(held: Served) -> None:
    with held.connect() as door:
        door.sendall(HEAD % PIXEL + b"\r\n")
        until(lambda: held.door.waiting)
        held.door.tell(False)
        answer = rest(door)
    assert statuses(answer) == [503]
    assert b"\r\nRetry-After: 5\r\n" in answer


def test_a_visitor_who_goes_between_hit_and_answer_holds_up_nobody(held: Served) -> None:
    with held.connect() as gone, held.connect() as stays:
        for door in (gone, stays):
            door.sendall(HEAD % PIXEL + b"\r\n")
        until(lambda: len(held.door.waiting) == 2)
        gone.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        gone.close()
        gevent.sleep(0.01)
        held.door.tell()
        assert statuses(rest(stays)) == [200]
    until(lambda: not OPEN)


def test_who_reads_slowly_gets_every_answer_whole_and_in_order_and_the_door_waits_for_nobody(
    served: Served,
) -> None:
    served.server.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 4096)
    slow = socket.socket()
    slow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 2048)
    slow.settimeout(10)
    with slow:
        slow.connect(served.server.address)
        sender = gevent.spawn(slow.sendall, (HEAD % PIXEL + b"\r\n") * 200 + HEAD % ELSEWHERE + b"\r\n")
        until(lambda: served.door.environs and not served.door.waiting)
        gevent.sleep(0.02)
        assert statuses(served.talk(HEAD % PIXEL + b"\r\n")) == [200]
        assert len(served.door.environs) < 200  # nothing is taken in whose answer cannot go out
        answers = b""
        while answers.count(b"\r\nDate: ") < 201 or not answers.endswith(b";"):
            answers += slow.recv(500)
        sender.get()
    assert statuses(answers) == [200] * 201


def test_a_connection_serves_as_many_requests_as_come(served: Served) -> None:
    with served.connect() as door:
        for n in range(2000):
            door.sendall((HEAD % (PIXEL if n % 4 else ELSEWHERE)) + b"\r\n")
            assert door.recv(4096).endswith(b";")
        assert len(OPEN) == 1


@both_ways
def test_a_process_that_stops_answers_what_it_has_taken_and_says_that_it_closes(
    held: Served, target: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held.connect() as door:
        door.sendall(HEAD % target + b"\r\n")
        until(lambda: held.door.environs)
        door.sendall(HEAD % PIXEL + b"\r\n")
        until(lambda: target == PIXEL or held.door.waiting)
        monkeypatch.setattr(Handler, "stopping", True)
        held.door.tell()
        answer = rest(door, ends=False)
    assert statuses(answer) == [200] * (1 + (target == ELSEWHERE))
    assert answer.count(b"\r\nConnection: close\r\n") == 1


def test_a_view_may_take_over_its_connection() -> None:
    taken: list[tuple[Any, Any]] = []

    def view(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        assert environ[HANDED_OVER] is None
        environ[HANDED_OVER] = lambda *given: taken.append(given)
        start("404 Not Found" if "absent" in environ["PATH_INFO"] else "200 OK", [("Content-Length", "3")])
        return [b":\n\n"]

    made = Served(Door(), view)
    try:
        for refused_one in (HEAD % b"/absent", (HEAD % b"/").replace(b"GET", b"POST")):
            assert made.talk(refused_one + b"\r\n").endswith(b"\r\n\r\n:\n\n")
        assert taken == []
        with made.connect() as door:
            door.sendall(HEAD % b"/" + b"\r\n")
            until(lambda: taken)
            [(sock, address)] = taken
            assert address == door.getsockname()
            until(lambda: not OPEN and not len(made.server.pool))
            sock.send(b"data: 1\n\n")
            sock.close()
            answer = rest(door, ends=False)
        assert answer.endswith(b"\r\nConnection: close\r\n\r\n:\n\ndata: 1\n\n")
        assert b"Length" not in answer
        assert b"chunked" not in answer
    finally:
        made.server.stop(1)
        SERVING.remove(made.server)


@dataclass(eq=False)
class Silent:
    """As much of a handler as is looked at."""

    socket: sockets.socket
    since: float = 100.0
    patience: int = 1


@pytest.mark.parametrize("times", [1, BODY])
def test_a_connection_is_given_up_when_nothing_has_come_for_its_time_and_not_before(times: int) -> None:
    ours, theirs = sockets.socketpair()
    with ours, theirs:
        handler = cast(Handler, Silent(ours, patience=times))
        OPEN.add(handler)
        try:
            close_silent(100.0 + times * IDLE - 0.1, IDLE)
            ours.setblocking(False)
            theirs.sendall(b"G")
            assert ours.recv(1) == b"G"
            close_silent(100.0 + times * IDLE, IDLE)
            assert ours.recv(1) == b""  # so the server's own reading ends, and it closes
        finally:
            OPEN.discard(handler)
