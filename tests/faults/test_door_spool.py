"""What waits on disk while Redis is away outlives the web process, a torn file and a full disk."""

import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.disk import small_disk
from tests.faults.ledger import Table, settle
from tests.faults.load import Load, load
from tests.faults.world import LABELS, OwnRedis, more
from tests.hanging import hanging
from tests.service import Service, at_work, running
from tests.waiting import until
from tracker import keys
from tracker.spooled import DOOR, spooled

SMALL = 2**20  # bytes of the disk that is full


@pytest.fixture
def service(own_redis: OwnRedis) -> Iterator[Service]:
    """Two web workers, whose visitors need a salt from Redis, and a counter."""
    with running(own_redis.url, workers="2", visitor="hash", max_labels=LABELS, canary="0") as made:
        yield made


def waiting(service: Service) -> int:
    """Bytes on disk."""
    return spooled(service.settings.spool, DOOR).bytes


def settled(redis: OwnRedis, service: Service, clicks: Load | list[Load], fault: str, table: Table) -> None:
    with redis.client() as client:
        table.add(settle(client, clicks, fault, settings=service.settings))
    assert waiting(service) == 0


@pytest.mark.fault("A web process is killed while hits wait on disk")
def test_laws_1_and_2_hold_when_the_web_is_killed_while_hits_wait_and_starts_without_redis(
    service: Service, own_redis: OwnRedis, table: Table
) -> None:
    with load(service.base, pace=0.005) as clicks, hanging(own_redis.pid):
        more(clicks, 200)
        service.kill("serve")
        assert waiting(service)
        clicks.stop()
        service.start("serve")  # it asks nobody for leave
        with load(service.base, pace=0.005) as later:
            more(later, 200)
            assert service.hit("https://new.example/").status == 200  # a site that it does not know
    with load(service.base) as last:
        more(last)
    settled(
        own_redis, service, [clicks, later, last], "A web process is killed while hits wait on disk", table
    )
    assert [*later.statuses, *last.statuses] == [200, 200]
    assert max(later.slowest, last.slowest) < 5
    with own_redis.client() as client:
        assert client.xlen(keys.raw("new.example")) == 1


@pytest.mark.fault("A web process is told to stop while Redis hangs")
def test_law_9_sigterm_ends_the_web_within_5_s_while_redis_hangs_and_loses_nothing(
    service: Service, own_redis: OwnRedis, table: Table
) -> None:
    with load(service.base) as clicks:
        more(clicks)
        with hanging(own_redis.pid):
            more(clicks, 20)
            begun = time.monotonic()
            assert service.kill("serve", signal.SIGTERM) == 0
            assert time.monotonic() - begun < 5
            service.start("serve")
            more(clicks)
        more(clicks)
    settled(own_redis, service, clicks, "A web process is told to stop while Redis hangs", table)
    assert not [status for status in clicks.statuses if status != 200 and isinstance(status, int)]


@pytest.mark.fault("The file of the spool is torn")
def test_law_1_a_torn_tail_of_the_spool_takes_no_other_batch_along(
    service: Service, own_redis: OwnRedis, table: Table
) -> None:
    with load(service.base, pace=0.005) as clicks:
        more(clicks)
        own_redis.kill()
        more(clicks, 100)
        service.kill("serve")
        for file in service.settings.spool.glob("*.spool"):
            whole = file.read_bytes()
            file.write_bytes(whole + whole[: len(whole) // 3] + bytes(5000))  # as a power cut leaves it
        own_redis.start()
        service.start("serve")
        more(clicks)
    settled(own_redis, service, clicks, "The file of the spool is torn", table)


@pytest.mark.fault("The disk of the spool is full")
def test_law_7_with_a_full_disk_hits_are_answered_with_503_in_time_and_it_heals(
    own_redis: OwnRedis, tmp_path: Path, table: Table
) -> None:
    service = Service(own_redis.url, workers="2", max_labels=LABELS, canary="0")
    with small_disk(service.settings.spool, SMALL) as is_mounted, at_work(service):
        if not is_mounted:
            limit(service)
        with load(service.base, visitors=8) as clicks:
            more(clicks)
            own_redis.kill()
            until(lambda: clicks.statuses[503] > 200, 60)
            assert waiting(service) > SMALL / 4
            assert service.get("/healthz").status == 200
            own_redis.start()
            until(lambda: waiting(service) == 0, 30)
            before = clicks.statuses[503]
            more(clicks, 500)
            assert clicks.statuses[503] == before
        settled(own_redis, service, clicks, "The disk of the spool is full", table)
        assert clicks.statuses.keys() == {200, 503}
        assert clicks.slowest < 5


def limit(service: Service) -> None:
    """No file of a worker may be longer, which is as good as a full disk."""
    for pid in service.workers():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (SMALL, SMALL))
