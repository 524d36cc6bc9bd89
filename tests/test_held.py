"""Connections that stay out of the pool: one answer for each command, whatever becomes of them."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis, ResponseError, TimeoutError

from tests.hits import SITE, hit
from tracker.connection import connect
from tracker.held import Held
from tracker.raw import RawLog


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    """A client as our processes have it."""
    with connect(redis_url) as made:
        yield made


def number(held: Held) -> int:
    """That of the connection, which Redis never gives again."""
    return int(held.ask("CLIENT", "ID"))


def test_a_connection_serves_call_after_call_and_an_error_does_not_end_it(client: Redis) -> None:
    held = Held(client)
    first = number(held)
    with pytest.raises(ResponseError, match="wrong number"):
        held.ask("GET")
    assert number(held) == first


def test_a_connection_that_redis_has_closed_is_made_anew_without_an_error(
    redis: Redis, client: Redis
) -> None:
    held = Held(client)
    first = number(held)
    assert redis.client_kill_filter(_id=str(first)) == 1
    assert number(held) != first


def test_an_answer_that_comes_too_late_is_none_to_the_next_command(redis: Redis, redis_url: str) -> None:
    with connect(redis_url, timeout=0.1) as hasty:
        held = Held(hasty)
        with pytest.raises(TimeoutError):
            held.ask("BLPOP", "nothing", 5)
        redis.rpush("nothing", "late")
        assert held.ask("ECHO", "next") == b"next"


def test_each_thread_gets_its_own_answers(client: Redis) -> None:
    held = Held(client)

    def own(name: int) -> bool:
        return all(held.ask("ECHO", f"{name}-{n}") == f"{name}-{n}".encode() for n in range(100))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(own, range(16)))


def test_a_process_that_was_forked_uses_no_connection_of_the_other_one(
    client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(client)
    first = number(held)
    with monkeypatch.context() as forked:
        forked.setattr(os, "getpid", lambda: -1)
        assert number(held) != first


def test_hits_are_appended_once_though_redis_has_closed_the_connection_and_forgotten_the_script(
    redis: Redis, client: Redis
) -> None:
    raw = RawLog(client)
    assert raw.append(SITE, [hit("/a")], "web-1", 1) == 1
    redis.client_kill_filter(_type="normal", skipme=True)
    redis.script_flush()
    assert [raw.append(SITE, [hit("/b")], "web-1", 2) for _ in range(2)] == [1, 0]
    assert raw.length(SITE) == 2
