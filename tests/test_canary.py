"""The canary: a real visitor and viewer of our own, that counts nowhere and that nobody else can be."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from redis import Redis

from hitwall.canary import NEWS, Sender
from summaries.counting import Counting
from summaries.counting_report import reported
from tests.hits import NOW, hit
from tests.service import Service, running
from tests.waiting import until
from tracker import canary, keys
from tracker.canary import KEPT, PERIODS
from tracker.hit import CANARY, BadHit
from tracker.raw import RawLog
from tracker.settings import Settings
from tracker.sites import Sites

EVERY = Settings(canary=60)


def came(redis: Redis) -> float:
    found = canary.last(redis)
    return found.seconds if found and found.at else 0.0


@pytest.fixture
def singing(redis: Redis, redis_url: str) -> Iterator[Service]:
    """A canary every second, one site that may count, and a token."""
    with running(redis_url, canary="1", sites="example.com", token="a-token-of-this-test") as service:
        until(lambda: came(redis))
        yield service


def test_it_is_timed_from_the_door_to_a_frame_and_every_wall_is_told(redis: Redis, redis_url: str) -> None:
    with running(redis_url, canary="1") as service:
        service.hit()
        with service.frames(bucket="month") as frames:
            told = next(frame["canary"] for frame in frames if frame["canary"])
    assert 0 < told["seconds"] < 20
    assert abs(datetime.now(UTC) - datetime.fromisoformat(told["at"])) < timedelta(seconds=60)


def test_it_counts_nowhere_and_is_in_no_list(singing: Service, redis: Redis) -> None:
    assert singing.hit().status == 200
    until(lambda: redis.exists(keys.cursor("example.com")))
    ours = {name.decode() for name in redis.scan_iter(f"hitwall:{{{CANARY}}}:*")}
    plain = {keys.raw(CANARY), keys.cursor(CANARY)}
    assert {name for name in ours if ":seen:" not in name} == plain
    assert redis.smembers(keys.SITES) == {b"example.com"}
    listed = singing.get("/api/sites", Authorization="Bearer a-token-of-this-test")
    assert CANARY not in listed.body.decode()
    summary = f"/api/{CANARY}/summaries/url"
    assert singing.get(summary, Authorization="Bearer a-token-of-this-test").status == 404
    for _, entry in RawLog(redis).after(CANARY, "0-0", 100):
        assert entry is not None
        assert (entry.source, entry.remote, entry.agent, entry.visitor) == ("canary", "", "", "")


def test_a_stranger_cannot_send_one_through_any_door(singing: Service, redis: Redis) -> None:
    for path in ("", "0" * 32, "%C3%A4", "x" * 3000):
        answer = singing.hit(f"/{path}", s=CANARY)
        assert answer.status == 403
        assert answer.headers["X-Hitwall"].startswith("reserved site")
    with pytest.raises(BadHit, match="reserved site"):
        Sites(Settings(), redis).admit(CANARY)


def test_a_door_takes_each_mark_once_and_none_but_the_last(redis: Redis) -> None:
    first, second = canary.mark(redis), canary.mark(redis)
    assert first != second
    with pytest.raises(BadHit):
        canary.recognise(redis, hit(f"/{first}", site=CANARY))
    known = canary.recognise(redis, hit(f"/{second}", site=CANARY, remote="203.0.113.7"))
    assert (known.source, known.path, known.remote) == ("canary", f"/{second}", "")
    with pytest.raises(BadHit):
        canary.recognise(redis, hit(f"/{second}", site=CANARY))
    assert 0 < redis.ttl(keys.MARK) <= canary.UNDER_WAY or not redis.exists(keys.MARK)


def test_of_all_who_share_a_redis_one_sends_in_a_period(redis: Redis) -> None:
    senders = [Sender(EVERY, "http://127.0.0.1:1", redis) for _ in range(5)]
    assert [sender.take_turn() for sender in senders] == [True, False, False, False, False]
    assert 0 < redis.pttl(keys.SENDER) < 60_000  # the next period's is sent in time


def test_one_that_does_not_come_through_is_known_since_when_and_logged_once(
    redis: Redis, free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    sender = Sender(EVERY, f"http://127.0.0.1:{free_port}", redis)
    for _ in range(NEWS + 2):
        sender.send()
    found = canary.last(redis)
    assert found is not None
    assert found.at is None
    assert found.failing is not None
    assert 0 < redis.ttl(keys.CANARY) <= PERIODS * 60
    assert [line.getMessage() for line in caplog.records] == [
        "no canary comes through: ConnectionRefusedError"
    ]
    canary.came(redis, 0.2, 60, NOW)
    assert canary.last(redis) == canary.Canary(0.2, NOW, None)


class Foreign(BaseHTTPRequestHandler):
    """Somebody else's service at the address of HITWALL_URL."""

    said = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    "said", [b"", b"data:1\n\n", b"data:{\n\n", b'data:{"recent":[]}\n\n' * 9, b"\xff" * 99]
)
def test_whatever_stands_at_the_address_it_ends_with_a_reason(redis: Redis, said: bytes) -> None:
    kind = type("Said", (Foreign,), {"said": said})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Sender(EVERY, f"http://127.0.0.1:{server.server_port}/stats", redis).send()
        server.shutdown()
    found = canary.last(redis)
    assert found is not None
    assert found.failing is not None


def test_its_raw_log_is_kept_short(redis: Redis) -> None:
    RawLog(redis).append(CANARY, [hit(site=CANARY, source="canary") for _ in range(3 * KEPT)], "test", 1)
    counting = Counting.of(Settings(keep_raw=None, keep_raw_max=0), redis)
    assert counting.step(CANARY).hits == 3 * KEPT
    counting.forget(CANARY, NOW)
    assert redis.xlen(keys.raw(CANARY)) == KEPT


def test_what_somebody_else_has_put_under_its_key_is_set_aside(redis: Redis) -> None:
    redis.set(keys.CANARY, "not ours")
    assert canary.last(redis) is None
    redis.set(keys.CANARY, "not ours")
    canary.came(redis, 0.2, 60, NOW)
    assert canary.last(redis) == canary.Canary(0.2, NOW)
    for field in ("seconds", "at"):
        redis.hset(keys.CANARY, field, "nonsense")
        assert canary.last(redis) is None
    for seconds in ("inf", "nan", "-1", "1e300"):
        redis.hset(keys.CANARY, mapping={"seconds": seconds, "at": NOW.isoformat()})
        assert canary.last(redis) is None  # else walls would get what is no JSON
        redis.hset(keys.COUNTING, "lag", "nonsense")
        assert reported(redis) is None
