"""A replica becomes the master under load: what was acknowledged is there, once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.ledger import FULL, Table, settle
from tests.faults.load import load
from tests.faults.world import OwnRedis, answered, last, more, world
from tests.waiting import until

PACE = 0.01  # seconds between two hits of a visitor
ROUNDS = 4 if FULL else 1


@contextmanager
def replica_of(master: OwnRedis, folder: Path) -> Iterator[OwnRedis]:
    """A second server that follows the first, and has caught up with it."""
    with OwnRedis(folder, master.port + 1) as replica:
        follow(replica, master)
        yield replica


def follow(replica: OwnRedis, master: OwnRedis) -> None:
    with replica.client() as client:
        client.replicaof("127.0.0.1", str(master.port))
        until(lambda: client.info("replication")["master_link_status"] == "up")


def promote(replica: OwnRedis) -> None:
    with replica.client() as client:
        client.replicaof("NO", "ONE")


@pytest.mark.fault("Redis fails over to a replica")
def test_laws_1_2_and_3_hold_when_a_replica_takes_the_place_of_a_killed_master(
    tmp_path: Path, free_port: int, table: Table
) -> None:
    with (
        world(tmp_path / "a", free_port, replicas="1") as own,
        replica_of(own.redis, tmp_path / "b") as other,
    ):
        master = own.redis
        with load(own.service.base, pace=PACE) as visitors:
            for _ in range(ROUNDS):
                more(visitors, 100)
                master.kill()
                last(1.0)
                promote(other)
                own.proxy.to(other.port)
                more(visitors, 100)
                master.start()
                follow(master, other)
                master, other = other, master
        with master.client() as client:
            row = settle(
                client, visitors, "Redis fails over to a replica", ROUNDS, settings=own.service.settings
            )
    table.add(row)
    answered(visitors)
