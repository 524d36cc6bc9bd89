"""The disk of Redis, a tmpfs that root mounts, is full: hits wait on the door's own until there is room."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.disk import small_disk
from tests.faults.ledger import FULL, Table, settle
from tests.faults.load import load
from tests.faults.world import answered, last, more, world

NAME = "The disk of Redis is full"
SIZE = 24 * 2**20  # bytes
POLICIES = ["everysec", "always"] if FULL else ["everysec"]  # Redis refuses to write; or ends, with `always`


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small one of its own."""
    place = tmp_path / "disk"
    with small_disk(place, SIZE) as is_mounted:
        assert is_mounted, "only root can run this: it mounts a small disk"
        yield place


@pytest.mark.fault(NAME)
@pytest.mark.parametrize("policy", POLICIES)
def test_laws_1_2_and_7_hold_while_the_disk_of_redis_is_full(
    policy: str, disk: Path, free_port: int, table: Table
) -> None:
    with world(disk, free_port) as own:
        own.client.config_set("appendfsync", policy)
        with load(own.service.base, pace=0.01) as visitors:
            more(visitors)
            fill(disk / "filler")
            more(visitors, 200)
            last(4.0)
            assert b"writing to the AOF file" in (disk / "redis" / "redis.log").read_bytes()
            (disk / "filler").unlink()
            own.redis.start()  # where it has ended
            more(visitors)
        table.add(settle(own.client, visitors, NAME, settings=own.service.settings))
    answered(visitors)


def fill(path: Path) -> None:
    """Until there is no room for a byte."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while os.write(file, bytes(4096)):
            pass
    os.close(file)
