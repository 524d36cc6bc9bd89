"""What is known to be away: one server, or sites alone; and who comes and goes rests longer each time."""

import pytest
from redis import ConnectionError, RedisError, ResponseError

from tests.clock import ByHand
from tracker import outage
from tracker.outage import LONGEST_REST, Outages

SERVERS = {"a.example": "one:6379", "b.example": "one:6379", "c.example": "two:6379"}
AWAY = ConnectionError("away")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ByHand:
    made = ByHand()
    monkeypatch.setattr(outage, "time", made)
    return made


def test_a_server_that_does_not_answer_is_out_with_all_its_sites_and_no_other() -> None:
    outages = Outages(SERVERS.__getitem__)
    assert not outages.holds("a.example")
    outages.begin("a.example", AWAY)
    assert [outages.holds(site) for site in SERVERS] == [True, True, False]
    outages.end("c.example")
    assert outages.sites() == ["a.example"]
    outages.end("b.example")  # the same server
    assert not any(map(outages.holds, SERVERS))


def test_a_site_whose_hits_are_answered_with_an_error_is_out_alone() -> None:
    outages = Outages(SERVERS.__getitem__)
    outages.begin("a.example", ResponseError("OOM command not allowed"))
    assert [outages.holds(site) for site in SERVERS] == [True, False, False]
    outages.end("b.example")
    assert outages.holds("a.example")
    outages.end("a.example")
    assert not outages.holds("a.example")


def test_a_cluster_that_cannot_tell_who_has_a_site_is_out_as_a_whole() -> None:
    def nobody(site: str) -> str:
        raise RedisError("no node of the cluster answers")

    outages = Outages(nobody)
    outages.begin("a.example", AWAY)
    assert outages.holds("c.example")
    outages.end("c.example")
    assert outages.sites() == []


def test_who_comes_and_goes_rests_twice_as_long_each_time_up_to_a_bound(clock: ByHand) -> None:
    outages = Outages(SERVERS.__getitem__)
    rests = []
    for _ in range(12):
        outages.begin("a.example", AWAY)
        begun = clock.now
        outages.end("a.example")
        while outages.holds("a.example"):
            clock.now += 0.25
            outages.end("a.example")
        rests.append(clock.now - begun)
        clock.now += 1.0
    assert rests == [0, 0.5, 1, 2, 4, 8, 16, *[LONGEST_REST] * 5]
    clock.now += 60
    outages.begin("a.example", AWAY)
    outages.end("a.example")
    assert not outages.holds("a.example")
