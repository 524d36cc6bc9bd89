"""A day's salt is one for all processes, and no reason for a door to wait for a Redis that is away."""

from datetime import timedelta

import pytest
from redis import ConnectionError, Redis

from tests.hits import NOW, hit
from tracker import keys, visitors
from tracker.visitors import DoorVisitors, Visitors

HIT = hit(remote="203.0.113.7", agent="Firefox")


class Away:
    """Redis, when it is away."""

    def __init__(self) -> None:
        self.asked = 0

    def execute_command(self, *args: object, **_: object) -> None:
        self.asked += 1
        raise ConnectionError("away")


@pytest.fixture
def away(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Away:
    made = Away()
    monkeypatch.setattr(redis, "execute_command", made.execute_command)
    return made


def test_all_processes_have_the_same_salt_for_a_day_and_another_the_next(redis: Redis) -> None:
    one, two, door = Visitors("hash", redis), Visitors("hash", redis), DoorVisitors("hash", redis)
    assert one.hashed(HIT) == two.hashed(HIT) == door.hashed(HIT)
    tomorrow = hit(remote="203.0.113.7", agent="Firefox", at=NOW + timedelta(days=1))
    assert one.hashed(HIT) != one.hashed(tomorrow) == door.hashed(tomorrow)
    assert 86_400 < redis.ttl(keys.salt(NOW)) <= 2 * 86_400


def test_while_redis_is_away_a_door_has_a_salt_of_its_own_and_does_not_ask_for_each_hit(
    redis: Redis, away: Away
) -> None:
    door = DoorVisitors("hash", redis)
    assert len({door.hashed(HIT) for _ in range(20)}) == 1
    assert away.asked == 1
    with pytest.raises(ConnectionError):
        Visitors("hash", redis).hashed(HIT)  # whoever can wait waits for the right one


def test_when_redis_is_back_a_door_gives_its_salt_to_all_or_takes_theirs(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors, "AGAIN", 0.0)
    first, second = DoorVisitors("hash", redis), DoorVisitors("hash", redis)
    with monkeypatch.context() as away:
        away.setattr(redis, "execute_command", Away().execute_command)
        alone = [first.hashed(HIT), second.hashed(HIT)]
    assert alone[0] != alone[1]
    assert [first.hashed(HIT), second.hashed(HIT)] == [alone[0]] * 2


def test_a_redis_that_is_emptied_meanwhile_is_no_error(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "get", lambda key: None)
    assert Visitors("hash", redis).hashed(HIT)
