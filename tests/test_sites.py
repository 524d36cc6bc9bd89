"""Which sites are known, also while Redis cannot be asked."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from redis import ConnectionError, Redis, RedisError

from tests.hits import SITE, hit
from tracker import keys, sites
from tracker.hit import BadHit
from tracker.raw import RawLog
from tracker.settings import Settings
from tracker.sites import Sites


@pytest.fixture
def asked(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a Redis that is away was asked."""
    asked: list[str] = []

    def away(*args: str, **_: object) -> None:
        asked.append(args[0])
        raise ConnectionError("away")

    monkeypatch.setattr(redis, "execute_command", away)
    yield asked
    monkeypatch.undo()


def test_a_site_is_known_from_its_first_hit_on_however_old_the_list_is(redis: Redis) -> None:
    known = Sites(Settings(), redis)
    assert known.all() == set()
    assert not known.known(SITE)
    RawLog(redis).append(SITE, [hit()], "test", 1)  # of another process
    assert known.known(SITE)


def test_while_redis_is_away_one_in_a_second_asks_and_nobody_is_turned_away(
    redis: Redis, asked: list[str]
) -> None:
    known = Sites(Settings(max_sites=50), redis)
    for n in range(50):
        known.admit(f"{n}.example")
    assert asked == ["SMEMBERS"]
    for n in range(10):
        with pytest.raises(BadHit, match="too many sites"):
            known.admit(f"made-up-{n}.example")
    known.admit("7.example")
    assert asked == ["SMEMBERS"]
    with pytest.raises(RedisError):
        known.known("new.example")


def test_who_comes_while_another_asks_does_not_wait_too(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Sites(Settings(), redis)
    asked = []

    def slowly() -> set[str]:
        asked.append(known.all())  # another comes meanwhile
        return {SITE}

    monkeypatch.setattr(known._raw, "sites", slowly)
    assert known.all() == {SITE}
    assert asked == [set()]


def test_while_redis_hangs_who_asks_for_a_site_is_told_in_time_however_many_ask(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, begun, ends = Sites(Settings(), redis), Event(), Event()

    def hang(site: str) -> bool:
        begun.set()
        return ends.wait()

    monkeypatch.setattr(sites, "TIMEOUT", 0.05)
    monkeypatch.setattr(known._raw, "has", hang)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(known.known, SITE)
        begun.wait()
        for _ in range(3):
            with pytest.raises(RedisError, match="too many"):
                known.known(SITE)
        ends.set()
        assert first.result()
    assert known.known(SITE)


def test_what_was_let_in_while_redis_was_away_is_no_more_than_its_list_when_it_is_back(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "FRESH", 0.0)
    known = Sites(Settings(max_sites=2), redis)
    with monkeypatch.context() as away:
        away.setattr(known._raw, "sites", lambda: (_ for _ in ()).throw(ConnectionError("away")))
        known.admit("made-up.example")
    redis.sadd(keys.SITES, "a.example", "b.example")
    with pytest.raises(BadHit, match="too many sites"):
        known.admit("made-up-too.example")
    known.admit("a.example")
    assert known.all() == {"a.example", "b.example"}
