"""Who holds all connections, or asks all at once what costs much: visitors find room, and in time."""

import resource
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from threading import Event, Thread

import gevent
import pytest
from redis import Redis

from hitwall.app import create_app
from hitwall.web import DOORS
from summaries import views
from summaries.questions import Questions, Span, Wish
from summaries.report_rows import Asked
from summaries.reports import Reports
from tests.hits import SITE, hit
from tests.service import Service, running
from tracker.raw import RawLog
from tracker.settings import Settings

POST = b"POST /a.gif HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nurl="
MORE = 20  # connections than a web process takes
MANY = 4 * views.AT_ONCE  # questions at once
SOON = 20.0  # seconds; the hurry is 2, and 8 for a body. Without it: 30, and a dripping body for ever


@contextmanager
def held(service: Service, number: int, said: bytes) -> Iterator[list[socket.socket]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, number + 1000)), hard))
    with ExitStack() as opened:
        clients = []
        for _ in range(number):
            client = opened.enter_context(socket.create_connection(("127.0.0.1", service.port), 10))
            client.sendall(said)
            clients.append(client)
        yield clients


def drip(clients: list[socket.socket], ends: Event) -> None:
    """A byte on each, again and again, as a patient attacker does."""
    while not ends.wait(1):
        for client in clients:
            with suppress(OSError):
                client.send(b"x")


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n", POST], ids=["nothing", "half a head", "a body"])
def test_law_8_who_holds_all_connections_without_a_word_holds_up_no_visitor(
    redis: Redis, redis_url: str, said: bytes
) -> None:
    with running(redis_url, streams="1", canary="0") as service, held(service, DOORS + MORE, said) as clients:
        ends = Event()
        patient = Thread(target=drip, args=(clients if said == POST else [], ends))
        patient.start()
        try:
            begun, status = time.monotonic(), 0
            while status != 200 and time.monotonic() - begun < SOON:
                with suppress(OSError):
                    status = service.hit().status
            assert status == 200
            assert time.monotonic() - begun < SOON
        finally:
            ends.set()
            patient.join()


def together(ask: Callable[[], int]) -> list[int | None]:
    """Answers to MANY questions that are asked at once; None for one that does not come."""
    asked = [gevent.spawn(ask) for _ in range(MANY)]
    gevent.joinall(asked, timeout=SOON)
    return [one.value for one in asked]


def on_its_own_hub(checks: Callable[[], None]) -> None:
    """In a thread: on this one's hub there may be what other tests have left."""

    def work() -> None:
        try:
            checks()
        finally:
            gevent.get_hub().destroy(destroy_loop=True)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(work).result()


def test_law_8_of_questions_that_cost_much_a_few_are_worked_on_at_once(
    redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    RawLog(redis).append(SITE, [hit()], "test", 1)
    app, at_work, most = create_app(Settings(redis_url=redis_url)), 0, 0
    answer = Questions.summary

    def slow(self: Questions, site: str, name: str, span: Span, wish: Wish) -> object:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        gevent.sleep(0.01)
        at_work -= 1
        return answer(self, site, name, span, wish)

    def ask() -> int:
        return app.test_client().get(f"/api/{SITE}/summaries/url").status_code

    def checks() -> None:
        assert together(ask) == [200] * MANY
        assert most == views.AT_ONCE
        monkeypatch.setattr(views, "LONGEST", 0.001)
        assert set(together(ask)) == {200, 503}
        assert ask() == 200

    monkeypatch.setattr(Questions, "summary", slow)
    on_its_own_hub(checks)


def test_law_8_reports_leave_threads_to_the_disk(
    redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, at_work, most = create_app(Settings(redis_url=redis_url, archive="sqlite://")), 0, 0

    def slow(self: Reports, name: str, asked: Asked) -> list[object]:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        time.sleep(0.05)
        at_work -= 1
        return []

    def ask() -> int:
        return app.test_client().get(f"/api/{SITE}/reports/pages").status_code

    monkeypatch.setattr(Reports, "of", lambda _: Reports.__new__(Reports))

    def checks() -> None:
        assert together(ask) == [200] * MANY
        assert most == views.AT_ONCE < gevent.get_hub().threadpool.maxsize

    monkeypatch.setattr(Reports, "answer", slow)
    on_its_own_hub(checks)
