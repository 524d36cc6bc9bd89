"""A power cut takes the end of Redis's file: no more is missing, nothing doubled, and all goes on then."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.faults.ledger import FULL, Table, settle
from tests.faults.load import load
from tests.faults.world import answered, more, world
from tests.waiting import until

NAME = "The power of Redis's machine fails"
ROUNDS = 5 if FULL else 1
WRITTEN = 1.0  # seconds between two times that all is on the disk, as with `appendfsync everysec`
UNDER_WAY = 1.0  # seconds from a hit to its answer at most
TORN = 40  # bytes of a record whose end did not reach the disk


@pytest.mark.fault(NAME)
def test_a_power_cut_takes_the_last_second_alone_and_doubles_nothing(
    tmp_path: Path, free_port: int, table: Table
) -> None:
    gone: set[str] = set()
    with world(tmp_path, free_port) as own:
        with load(own.service.base, pace=0.01) as visitors:
            for _ in range(ROUNDS):
                more(visitors, 200)
                until(lambda: not is_rewriting(own.client))  # what the last cut was mended by
                written, file = time.monotonic(), log_of(tmp_path)
                size = file.stat().st_size
                time.sleep(WRITTEN)
                own.redis.kill()
                gone |= visitors.before(time.monotonic()) - visitors.before(written - UNDER_WAY)
                os.truncate(file, size + TORN)
                own.redis.start()
                more(visitors)
        row = settle(own.client, visitors, NAME, ROUNDS, settings=own.service.settings, gone=gone)
    assert 0 < row.sent - row.stored < len(gone)
    table.add(row)
    answered(visitors)


def is_rewriting(redis: Redis) -> bool:
    """Whether another append-only file takes the place of this one soon."""
    info: Any = redis.info("persistence")
    return bool(info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"])


def log_of(folder: Path) -> Path:
    """The append-only file that is written now."""
    return max(folder.glob("redis/**/*.aof"), key=lambda path: path.stat().st_mtime)
