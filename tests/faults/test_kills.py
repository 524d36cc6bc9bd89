"""kill -9 of web processes, their workers, counters and Redis, at random moments under load."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.faults.ledger import FULL, Table, settle
from tests.faults.load import Load, load
from tests.faults.world import World, more, world

KILLED = "Web process, counter or Redis is killed"
SEED = 5  # every run kills the same, about as long after what was before
ROUNDS = 50 if FULL else 8
BUDGET = 480.0 if FULL else 90.0  # seconds; what is left of the rounds is then given up, and the test fails
PACE = 0.005 if FULL else 0.02  # seconds between two hits of a visitor


def kill_web(own: World, rest: float) -> None:
    own.service.kill("serve")
    time.sleep(rest)
    own.service.start("serve")


def kill_worker(own: World, rest: float) -> None:
    os.kill(own.service.workers()[0], signal.SIGKILL)


def kill_counter(own: World, rest: float) -> None:
    own.service.kill("first")
    time.sleep(rest)
    own.service.start("first", "count")


def kill_counters(own: World, rest: float) -> None:
    own.service.kill("second")
    kill_counter(own, rest)
    own.service.start("second", "count")


def kill_redis(own: World, rest: float) -> None:
    own.redis.kill()
    time.sleep(rest)
    own.redis.start()


def kill_redis_again(own: World, rest: float) -> None:
    """While what was spooled is handed over."""
    kill_redis(own, rest)
    kill_redis(own, 0)


def kill_web_at_its_replay(own: World, rest: float) -> None:
    kill_redis(own, rest)
    kill_web(own, 0)


def kill_web_and_redis(own: World, rest: float) -> None:
    own.redis.kill()
    time.sleep(rest)
    kill_web(own, rest)
    own.redis.start()


KILLS: list[Callable[[World, float], None]] = [
    kill_web,
    kill_redis,
    kill_worker,
    kill_counter,
    kill_web_and_redis,
    kill_counters,
    kill_redis_again,
    kill_web_at_its_replay,
]


@pytest.mark.fault(KILLED)
def test_laws_1_2_and_3_hold_whatever_is_killed_at_random_moments(
    tmp_path: Path, free_port: int, table: Table
) -> None:
    with world(tmp_path, free_port) as own:
        base, most = own.service.base, 200_000
        with (
            load(base, pace=PACE, most=most, longest=2 * BUDGET) as visitors,
            load(base, "other.example", pace=PACE, most=most, post=True, longest=2 * BUDGET) as others,
        ):
            kill_at_random(own, visitors, Random(SEED))
        loads = [visitors, others]
        table.add(settle(own.client, loads, KILLED, ROUNDS, settings=own.service.settings))
    statuses = visitors.statuses + others.statuses
    assert {status for status in statuses if isinstance(status, int)} == {200, 204}, statuses


def kill_at_random(own: World, visitors: Load, chance: Random) -> None:
    """Each kind in turn, in an order that differs; sometimes before all runs again."""
    end = time.monotonic() + BUDGET
    for number in range(ROUNDS):
        if number % len(KILLS) == 0:
            order = chance.sample(KILLS, len(KILLS))
        assert time.monotonic() < end, f"{number} rounds took {BUDGET} s"
        if chance.random() < 0.8:
            more(visitors, 20)
            time.sleep(chance.uniform(0, 1.5))
        order[number % len(KILLS)](own, chance.uniform(0, 1.5))
    more(visitors, 20)
