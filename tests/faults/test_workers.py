"""Several workers take the hits of one site, and are killed in turn."""

import os
import signal

import pytest
from redis import Redis

from tests.faults.ledger import FULL, Table, left, settle
from tests.faults.load import Load, load, together
from tests.faults.world import LABELS, OwnRedis, more
from tests.hanging import hanging
from tests.service import Service, running
from tests.waiting import until
from tracker import keys

KILLED = "Workers of a web process are killed in turn"
SPOOLED = "A worker is killed while its hits wait on disk"
ROUNDS = 40 if FULL else 4
VISITORS = 8


def kill(service: Service) -> None:
    """The oldest worker, with all the connections that it has; another takes its place."""
    pids = service.workers()
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: pids[0] not in service.workers() and len(service.workers()) == len(pids))


@pytest.mark.fault(KILLED)
@pytest.mark.parametrize("workers", ["2", "4"] if FULL else ["2"])
def test_laws_1_to_3_hold_for_one_site_whatever_worker_takes_its_hits_and_is_killed(
    workers: str, redis: Redis, redis_url: str, table: Table
) -> None:
    with running(redis_url, workers=workers, max_labels=LABELS, canary="0") as service:
        base = service.base
        loads = [Load(base, "example.com", 200_000, 0.005, post, 10.0 * ROUNDS) for post in (False, True)]
        with together(loads, VISITORS // 2):
            for number in range(ROUNDS):
                more(loads[number % 2], 30)
                kill(service)
            for each in loads:
                more(each, 30)
        sources = len(list(redis.scan_iter(keys.seen("example.com", "*"))))
        assert sources > ROUNDS // 2  # each worker that took hits counts its own batches
        table.add(settle(redis, loads, KILLED, ROUNDS, settings=service.settings))
    assert {status for each in loads for status in each.statuses if isinstance(status, int)} == {200, 204}


@pytest.mark.fault(SPOOLED)
def test_laws_1_and_2_hold_when_a_worker_is_killed_whose_hits_wait_on_disk(
    own_redis: OwnRedis, table: Table
) -> None:
    with running(own_redis.url, workers="2", max_labels=LABELS, canary="0") as service:
        with load(service.base, visitors=VISITORS, pace=0.005) as clicks:
            more(clicks)
            with hanging(own_redis.pid):
                until(lambda: left(service.settings))
                for _ in range(2):
                    more(clicks, 100)
                    kill(service)
                more(clicks, 100)
            more(clicks, 100)
        with own_redis.client() as client:
            table.add(settle(client, clicks, SPOOLED, settings=service.settings))
    assert {status for status in clicks.statuses if isinstance(status, int)} == {200}
