"""What an operator does to a Redis at work: empty it, change its password."""

import time
from pathlib import Path

import pytest

from tests.faults.ledger import FULL, Table, settle
from tests.faults.load import load
from tests.faults.world import answered, last, more, world

SITE = "example.com"
PACE = 0.01  # seconds between two hits of a visitor
PASSWORD = "a-password-of-the-tests"


@pytest.mark.fault("Redis is emptied")
def test_an_emptied_redis_has_every_hit_from_then_on_and_the_wall_is_right(
    tmp_path: Path, free_port: int, table: Table
) -> None:
    rounds = 5 if FULL else 2
    with world(tmp_path, free_port) as own:
        settings = own.service.settings
        own.service.hit(f"https://{SITE}/")
        with own.service.frames(bucket="month") as frames:
            with load(own.service.base, SITE, pace=PACE) as visitors:
                for _ in range(rounds):
                    more(visitors, 100)
                    own.client.flushall()
                    emptied = time.monotonic()
                more(visitors, 100)
            gone = visitors.before(emptied)
            row = settle(own.client, visitors, "Redis is emptied", rounds, settings=settings, gone=gone)
            assert next(frame for frame in frames if frame["hits"] == row.stored)
    table.add(row)
    answered(visitors)


@pytest.mark.fault("Redis's password is changed")
def test_with_another_password_hits_wait_in_the_spool_until_the_service_is_told(
    tmp_path: Path, free_port: int, table: Table
) -> None:
    with world(tmp_path, free_port) as own:
        service = own.service
        with load(service.base, SITE, pace=PACE) as before:
            more(before)
            own.client.config_set("requirepass", PASSWORD)
            more(before)  # who is logged in stays so
            own.proxy.cut()
            more(before, 100)
            last(3.0)
        service.stop()
        service.environ["REDIS_URL"] = own.proxy.url.replace("//", f"//:{PASSWORD}@")
        own.start()
        with load(service.base, SITE, pace=PACE) as after:
            more(after)
        loads = [before, after]
        table.add(settle(own.client, loads, "Redis's password is changed", settings=service.settings))
        for visitors in loads:
            answered(visitors)
