"""Everything at once: faults of Redis and the network in a random order, with kills among them."""

import time
from pathlib import Path
from random import Random

import pytest

from tests.faults.ledger import FULL, Table, settle
from tests.faults.load import Load, load
from tests.faults.test_kills import kill_counter, kill_counters, kill_web, kill_worker
from tests.faults.test_redis_faults import FAULTS
from tests.faults.world import World, more, world

SEED = 7
SECONDS = 180.0 if FULL else 10.0
PACE = 0.005 if FULL else 0.02  # seconds between two hits of a visitor
NAME = "Several of these at once"


@pytest.mark.fault(NAME)
def test_laws_1_2_and_3_hold_when_faults_and_kills_come_together(
    tmp_path: Path, free_port: int, table: Table
) -> None:
    with world(tmp_path, free_port) as own:
        with load(own.service.base, pace=PACE, most=200_000, longest=2 * SECONDS + 60) as visitors:
            rounds = go_wild(own, visitors, Random(SEED))
        row = settle(own.client, visitors, NAME, rounds, settings=own.service.settings)
    table.add(row)
    assert not {status for status in visitors.statuses if isinstance(status, int)} - {200}, visitors.statuses


def go_wild(own: World, visitors: Load, chance: Random) -> int:
    """One fault after the other, a kill during every second one; how many."""
    end, rounds = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        bad = chance.choice(FAULTS).values[0]
        kill = chance.choice([kill_web, kill_worker, kill_counter, kill_counters, None, None, None, None])
        with bad(own):  # type: ignore[operator]
            time.sleep(chance.uniform(0, 2))
            if kill:
                kill(own, chance.uniform(0, 0.5))
        rounds += 1
        if chance.random() < 0.5:
            more(visitors, 10)
    more(visitors)
    return rounds
