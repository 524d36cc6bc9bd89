"""The API door under kills: what is posted again with its key is there once."""

import http.client
import json
import threading
from contextlib import suppress
from functools import partial

import pytest
from redis import Redis

from tests.faults.ledger import FULL, Table, each_once
from tests.service import Service, counted, total
from tests.waiting import until
from tracker import keys

CUT_OFF = "A program's post is cut off"
SITE = "example.com"
HITS = 10_000
TOKEN = "a-token-of-the-tests"


def post(service: Service, body: bytes, key: str) -> tuple[int, dict[str, object]]:
    """Status and answer of one request; OSError where the service dies meanwhile."""
    door = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    try:
        headers = {
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": key,
            "Authorization": f"Bearer {TOKEN}",
        }
        door.request("POST", "/api/hits", body, headers)
        with door.getresponse() as response:
            return response.status, json.loads(response.read())
    finally:
        door.close()


def lose(service: Service, body: bytes, key: str) -> None:
    """Post without hearing of it."""
    with suppress(OSError, http.client.HTTPException):
        post(service, body, key)


def grown(redis: Redis, before: int) -> bool:
    return redis.xlen(keys.raw(SITE)) > before


def body_of(number: int) -> bytes:
    hits = ({"site": SITE, "path": f"/{number}/{n % 500}", "bytes": n} for n in range(HITS))
    return "\n".join(map(json.dumps, hits)).encode()


@pytest.mark.fault(CUT_OFF)
def test_law_2_hits_posted_again_after_a_kill_are_stored_and_counted_once(
    redis: Redis, redis_url: str, table: Table
) -> None:
    service = Service(redis_url, token=TOKEN)
    rounds = 4 if FULL else 2
    try:
        service.start("count")
        service.start("serve")
        for number in range(rounds):
            body, before = body_of(number), redis.xlen(keys.raw(SITE))
            sender = threading.Thread(target=lose, args=(service, body, f"batch {number}"))
            sender.start()
            until(partial(grown, redis, before))
            service.kill("serve")
            sender.join()
            service.start("serve")
            status, answer = post(service, body, f"batch {number}")
            assert (status, answer["stored"], answer["refused_total"]) == (200, HITS, 0)
            assert redis.xlen(keys.raw(SITE)) == before + HITS
        status, answer = post(service, body, f"batch {rounds - 1}")
        assert (status, answer["stored"], answer["repeated"]) == (200, HITS, True)
        until(lambda: total(redis) == rounds * HITS, 60)
        assert counted(redis, "url") == {f"/{m}/{n}": 20 for m in range(rounds) for n in range(500)}
        table.add(each_once(CUT_OFF, rounds, rounds * HITS))
    finally:
        service.stop()
