"""Nodes of a Redis Cluster fail under load: nothing acknowledged is lost or doubled, and walls go on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from redis import Redis

from tests.cluster import MASTERS, Node, OwnCluster, running_cluster, sites_on_every_node
from tests.faults.ledger import FULL, Table, settle
from tests.faults.load import Load, load
from tests.service import Service, total
from tests.waiting import until
from tracker import keys
from tracker.cluster import Cluster
from tracker.connection import connect

EACH = 2  # sites on each node
PACE = 0.01  # seconds between two hits of a visitor
LABELS = "1000000"  # of a counter: every path of a load has its own
GAIN = 60  # hits that a load sends before the next thing happens


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    """With files, as one must have: a master that comes back empty, and at once, empties its replicas."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), "--appendonly", "yes") as started:
        yield started


@pytest.fixture(scope="module")
def redis(cluster: OwnCluster) -> Iterator[Redis]:
    with connect(cluster.url) as client:
        assert isinstance(client, Cluster)
        yield client


@pytest.fixture(scope="module")
def service(cluster: OwnCluster) -> Iterator[Service]:
    """Two web workers and two counters that wait for a replica to have each hit."""
    service = Service(cluster.url, workers="2", replicas="1", max_labels=LABELS, canary="0")
    try:
        for name in ("first", "second"):
            service.start(name, "count")
        service.start("serve")
        yield service
    finally:
        service.stop()


@contextmanager
def loads(service: Service, cluster: OwnCluster, name: str) -> Iterator[list[Load]]:
    """A visitor of each of some sites on every node; their names begin with that one."""
    sites = sites_on_every_node(cluster, EACH, name)
    assert len(sites) == MASTERS
    with ExitStack() as stack:
        yield [
            stack.enter_context(load(service.base, site, 1, pace=PACE))
            for there in sites.values()
            for site in there
        ]


def more(visitors: list[Load]) -> None:
    """Wait until every load has had answers to a good many more hits."""
    least = [len(each.acknowledged) + GAIN for each in visitors]
    until(lambda: all(len(v.acknowledged) >= n for v, n in zip(visitors, least, strict=True)), 60)


def killed(cluster: OwnCluster, node: Node, key: str) -> None:
    node.kill()
    until(lambda: cluster.master_of(key) is not node)


def hung(cluster: OwnCluster, node: Node, key: str) -> None:
    node.hang()
    until(lambda: cluster.master_of(key) is not node)


def revived(cluster: OwnCluster, node: Node, how: Callable[..., None]) -> None:
    if how is killed:
        node.start()
    else:
        node.wake()
    cluster.wait()
    until(lambda: not cluster.is_master(node))


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(killed, marks=pytest.mark.fault("A node of the cluster is killed")),
        pytest.param(hung, marks=pytest.mark.fault("A node of the cluster hangs")),
    ],
)
def test_laws_2_and_3_hold_and_walls_go_on_while_a_replica_takes_over(
    bad: Callable[[OwnCluster, Node, str], None],
    cluster: OwnCluster,
    redis: Redis,
    service: Service,
    table: Table,
    request: pytest.FixtureRequest,
) -> None:
    cluster.wait()
    name = request.node.get_closest_marker("fault").args[0]
    rounds = 5 if FULL else 1
    with loads(service, cluster, bad.__name__) as visitors:
        for number in range(rounds):
            key = [keys.SITES, *(keys.raw(each.site) for each in visitors[::EACH])][number % (MASTERS + 1)]
            node = cluster.master_of(key)
            more(visitors)
            bad(cluster, node, key)
            more(visitors)
            revived(cluster, node, bad)
        more(visitors)
        row = settle(redis, visitors, name, rounds, settings=service.settings)
    answered(visitors)
    for each in visitors:
        service.frame(total(redis, each.site), each.site)
    table.add(row)


@pytest.mark.fault("A slot moves to another node of the cluster")
def test_laws_2_and_3_hold_while_sites_move_from_node_to_node(
    cluster: OwnCluster, redis: Redis, service: Service, table: Table
) -> None:
    cluster.wait()
    rounds = 20 if FULL else 3
    with loads(service, cluster, "moved") as visitors:
        for number in range(rounds):
            key = keys.raw(visitors[number % len(visitors)].site)
            masters = [node for node in cluster.nodes if cluster.is_master(node)]
            target = next(node for node in masters if node is not cluster.master_of(key))
            with cluster.moving(key, target):
                more(visitors)
            more(visitors)
        row = settle(
            redis, visitors, "A slot moves to another node of the cluster", rounds, settings=service.settings
        )
    answered(visitors)
    table.add(row)


def answered(visitors: list[Load]) -> None:
    """Every one of them, with success."""
    assert not [status for each in visitors for status in each.statuses if status not in (200, 204)]
