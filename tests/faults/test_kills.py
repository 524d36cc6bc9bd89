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

SEED = 5  # every run kills the same, about as long after what was before
ROUNDS = 50 if FULL else 6
BUDGET = 480.0 if FULL else 90.0  # seconds; what is left of the rounds is then given up, and the test fails
PACE = 0.02  # seconds between two hits of a visitor


def kill_web(own: World, rest: float) -> None:
    own.service.kill("serve")
    time.sleep(rest)
    own.service.start("serve")


def kill_worker(own: World, rest: float) -> None:
    os.kill(own.workers()[0], signal.SIGKILL)


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
]


@pytest.mark.fault("Web process, counter or Redis is killed")
def test_laws_1_2_and_3_hold_whatever_is_killed_at_random_moments(
    tmp_path: Path, free_port: int, table: Table
) -> None:
    with world(tmp_path, free_port) as own:
        with load(own.service.base, pace=PACE, most=200_000, longest=BUDGET + 60) as visitors:
            kill_at_random(own, visitors, Random(SEED))
        row = settle(
            own.client,
            visitors,
            "Web process, counter or Redis is killed",
            ROUNDS,
            settings=own.service.settings,
        )
    table.add(row)
    assert not {status for status in visitors.statuses if isinstance(status, int)} - {200}, visitors.statuses


def kill_at_random(own: World, visitors: Load, chance: Random) -> None:
    """Each kind in turn, in an order that differs."""
    end = time.monotonic() + BUDGET
    for number in range(ROUNDS):
        if number % len(KILLS) == 0:
            order = chance.sample(KILLS, len(KILLS))
        assert time.monotonic() < end, f"{number} rounds took {BUDGET} s"
        more(visitors, 20)
        time.sleep(chance.uniform(0, 1.5))
        order[number % len(KILLS)](own, chance.uniform(0, 1.5))
    more(visitors, 20)
