"""Forget beside whole processes: killed at random moments under load, and finished by the next run."""

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from redis import Redis

from tests.faults.ledger import FULL, Table, settle
from tests.faults.load import load
from tests.hits import FIREFOX, hit
from tests.service import ROOT, Service, running
from tests.test_forget import everything
from tests.waiting import until
from tracker import keys
from tracker.raw import RawLog

FAULT = "`hitwall forget` is killed"
SEED = 5
ROUNDS = 25 if FULL else 4
HITS = 40_000 if FULL else 6_000  # in the log before: a run takes some seconds
PACE = 0.02  # seconds between two hits of a visitor
LONGEST = 2.0  # seconds after which a run is killed
SITE, GONE = "example.com", "forget-me-0001"
BATCH = 500


def fill(redis: Redis) -> None:
    """Hits of now by a hundred visitors, one of whom is to be forgotten."""
    now = datetime.now(UTC)
    for first in range(0, HITS, BATCH):
        hits = [
            hit(f"/was/{n}", at=now, agent=FIREFOX, visitor=GONE if n % 100 == 0 else f"visitor-{n % 100:03}")
            for n in range(first, first + BATCH)
        ]
        RawLog(redis).append(SITE, hits, "test", first + 1)


def forget(service: Service, visitor: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hitwall", "forget", "--visitor", visitor, "--yes"]
    return subprocess.Popen(command, env=service.environ, cwd=ROOT, stdout=subprocess.DEVNULL)


@pytest.mark.fault(FAULT)
def test_law_3_holds_and_the_person_is_gone_however_often_it_was_killed_under_load(
    redis: Redis, redis_url: str, tmp_path: Path, table: Table
) -> None:
    fill(redis)
    chance = Random(SEED)
    with running(redis_url, data=str(tmp_path), max_labels="1000000", canary="0") as service:
        with load(service.base, pace=PACE) as clicking:
            until(lambda: clicking.acknowledged)
            run = next(iter(clicking.paths))[1:].partition("-")[0]
            for number in range(ROUNDS):
                visitor = GONE if number % 2 == 0 else f"visitor-{run}-0"  # who goes on to click
                with forget(service, visitor) as process:
                    time.sleep(chance.uniform(0.3, LONGEST))
                    process.kill()
            for visitor in (GONE, f"visitor-{run}-0"):
                assert forget(service, visitor).wait(120) == 0
        assert set(clicking.statuses) == {200}, clicking.statuses
        theirs = [path for path in clicking.paths if path.startswith(f"/{run}-0-")]
        table.add(settle(redis, clicking, FAULT, ROUNDS, settings=service.settings, gone=theirs))
        assert forget(service, f"visitor-{run}-0").wait(120) == 0
    found = everything(redis)
    assert GONE not in found
    assert f'"visitor-{run}-0"' not in found
    assert redis.exists(keys.rewrite(SITE)) == 0
    assert RawLog(redis).length(SITE) == HITS - HITS // 100 + len(clicking.acknowledged - set(theirs))
