"""The rate at the door: each address has its own, nobody's is another's, and memory has a bound."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hits import FIREFOX
from tests.service import running, total
from tests.waiting import until
from tracker import rate
from tracker.answers import GIF
from tracker.rate import Rate, TooFast
from tracker.settings import Settings

TARGET = "/a.gif?url=https://example.com/"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def asking(said: str, clock: Callable[[], float], hops: int = 0) -> Callable[..., int]:
    """Sends so many from an address; how many of them may pass."""
    limit = Rate(Settings(rate=said, trusted_proxies=hops), clock)

    def send(address: str, times: int = 1, forwarded: str = "") -> int:
        environ: dict[str, Any] = {"REMOTE_ADDR": address, "HTTP_X_FORWARDED_FOR": forwarded}
        passed = 0
        for _ in range(times):
            try:
                limit.check(environ)
                passed += 1
            except TooFast:
                pass
        return passed

    return send


@given(
    number=st.integers(1, 50), unit=st.sampled_from(["second", "minute", "hour"]), sent=st.integers(0, 100)
)
def test_so_many_pass_in_a_window_and_as_many_in_the_next(number: int, unit: str, sent: int) -> None:
    clock = Clock()
    send = asking(f"{number}/{unit}", clock)
    assert send("203.0.113.7", sent) == min(number, sent)
    clock.now += {"second": 1, "minute": 60, "hour": 3600}[unit]
    assert send("203.0.113.7", sent) == min(number, sent)


def test_who_is_refused_is_told_when_to_come_again(clock: Clock) -> None:
    limit = Rate(Settings(rate="1/minute"), clock)
    limit.check({"REMOTE_ADDR": "203.0.113.7"})
    clock.now += 18.5
    with pytest.raises(TooFast, match=r"^too fast: an address may send 1/minute$") as refused:
        limit.check({"REMOTE_ADDR": "203.0.113.7"})
    assert (refused.value.status, refused.value.after) == (429, 42)


def test_addresses_do_not_share_a_rate_and_those_of_an_ipv6_household_do(clock: Clock) -> None:
    send = asking("3/minute", clock)
    assert [send(f"203.0.113.{n}", 5) for n in range(4)] == [3] * 4
    assert send("2001:db8:0:1::1", 2) + send("2001:db8:0:1:ffff::2", 5) == 3
    assert send("2001:db8:0:2::1", 5) == 3
    assert send("::ffff:203.0.113.1", 1) == 0


def test_what_a_visitor_writes_into_x_forwarded_for_gives_no_new_rate(clock: Clock) -> None:
    send = asking("3/minute", clock)
    assert sum(send("203.0.113.7", 1, f"198.51.100.{n}") for n in range(9)) == 3
    behind = asking("3/minute", clock, hops=1)
    assert sum(behind("10.0.0.1", 1, f"198.51.100.{n}, 203.0.113.7") for n in range(9)) == 3
    assert sum(behind("10.0.0.1", 1, f"198.51.100.{n}") for n in range(9)) == 9


def test_law_10_addresses_remembered_have_a_bound_and_beyond_it_all_begin_anew(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate, "MOST", 100)
    window = rate.Window(60, clock)
    for n in range(1000):
        assert window.add(f"10.0.{n // 256}.{n % 256}") == 1
        assert len(window._sent) <= 100
    assert len(window._sent) == 100
    assert [window.add("10.0.3.231"), window.add("10.0.0.0")] == [2, 1]


def test_a_flood_from_one_address_is_refused_with_the_pixel_and_others_are_counted(
    redis: Any, redis_url: str
) -> None:
    with running(redis_url, rate="5/hour", trusted_proxies="1") as service:
        flood = {"User_Agent": FIREFOX, "X_Forwarded_For": "198.51.100.1"}
        answers = [service.get(TARGET, **flood) for _ in range(12)]
        assert [answer.status for answer in answers] == [200] * 5 + [429] * 7
        assert answers[-1].body == GIF
        assert answers[-1].headers["X-Hitwall"] == "too fast: an address may send 5/hour"
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 3600
        assert "Retry-After" in answers[-1].headers["Access-Control-Expose-Headers"]
        posted = service.get(TARGET, "POST", **flood)
        assert (posted.status, posted.body) == (429, b"")
        assert service.get(TARGET, User_Agent=FIREFOX, X_Forwarded_For="198.51.100.2").status == 200
        assert service.get("/a.js", **flood).status == 200
        until(lambda: total(redis) == 6)
        refused = until(lambda: redis.hgetall(next(redis.scan_iter("hitwall:refused:*"), "none")))
        assert refused == {b"too fast": b"8"}
