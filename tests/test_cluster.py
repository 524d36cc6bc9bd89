"""The whole path on a Redis Cluster of three masters and three replicas."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec import structs
from redis import RedisError
from redis.client import PubSub
from redis.exceptions import DataError, MovedError
from redis.exceptions import ResponseError as Refused

from hitwall.cli import main
from summaries.buckets import Calendar
from summaries.counting import Counting
from summaries.lease import Lease
from summaries.rounds import run
from summaries.sums import sumUrl
from tests.cluster import MASTERS, Node, OwnCluster, running_cluster, sites_on_every_node
from tests.hits import FIREFOX
from tests.service import Service, running, total
from tests.waiting import until
from tracker import keys
from tracker.append import TooFewReplicas
from tracker.cluster import Cluster, server_for, servers_of
from tracker.connection import TIMEOUT, connect
from tracker.hit import Hit
from tracker.nodes import NodeAway
from tracker.nodes import run as ask
from tracker.raw import RawLog
from tracker.settings import Settings
from tracker.storage import Batch
from tracker.storage.redis_db import RedisStorage

FEW = 20  # hits
LINE = (
    '203.0.113.7 - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "GET /page/{n} HTTP/1.1" 200 512 "-" "' + FIREFOX + '"\n'
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster"), "--appendonly", "yes") as started:
        yield started


@pytest.fixture
def redis(cluster: OwnCluster) -> Iterator[Cluster]:
    """A client of the cluster, which is whole and empty."""
    cluster.wait()
    cluster.empty()
    with connect(cluster.url) as client:
        assert isinstance(client, Cluster)
        yield client


@pytest.fixture
def sites(cluster: OwnCluster) -> list[str]:
    """One on each node."""
    return [site for there in sites_on_every_node(cluster, 1).values() for site in there]


def hits(site: str, number: int = FEW) -> list[Hit]:
    now = datetime.now(UTC)
    return [Hit(at=now, site=site, path=f"/{n}", source="pixel", agent=FIREFOX) for n in range(number)]


def test_sites_spread_over_the_nodes_and_laws_2_and_3_hold_on_each(redis: Cluster, sites: list[str]) -> None:
    raw, counting = RawLog(redis), Counting.of(Settings(), redis)
    assert len({raw.server(site) for site in sites}) == MASTERS
    for site in sites:
        assert [raw.append(site, hits(site), "web-1", 1) for _ in range(2)] == [FEW, 0]
        assert counting.step(site).hits == FEW
        assert (raw.length(site), total(redis, site)) == (FEW, FEW)
        assert raw.positions(site, ["web-1", "web-2"]) == {"web-1": "1", "web-2": ""}
    assert raw.sites() == set(sites)


def test_commands_of_many_sites_come_back_in_order(redis: Cluster, sites: list[str]) -> None:
    pipe = redis.pipeline(transaction=False)
    for n, site in enumerate(sites * 2):
        pipe.rpush(keys.seen(site, "x"), n)
    assert pipe.execute() == [1] * len(sites) + [2] * len(sites)
    assert pipe.execute() == []
    pipe.rpush(keys.seen(sites[0], "x"), 1)
    pipe.hget(keys.seen(sites[1], "x"), "no hash")
    with pytest.raises(Refused, match="WRONGTYPE"):
        pipe.execute()


def test_a_transaction_over_two_slots_is_refused(redis: Cluster, sites: list[str]) -> None:
    pipe = redis.pipeline(transaction=True)
    for site in sites:
        pipe.hgetall(keys.cursor(site))
    with pytest.raises(MovedError, match=r"redis\+cluster://"):
        pipe.execute()


def test_a_question_to_one_server_is_asked_of_each(redis: Cluster, sites: list[str]) -> None:
    with pytest.raises(DataError, match="servers_of"):
        redis.info("memory")
    assert len({ask(server, "CLUSTER MYID") for server in servers_of(redis)}) == MASTERS
    key = keys.raw(sites[0])
    redis.xadd(key, {"a": "b"})
    assert server_for(redis, key).exists(key)


def test_waiting_ends_with_a_hit_on_any_node_within_0_2_seconds(redis: Cluster, sites: list[str]) -> None:
    raw = RawLog(redis)
    cursors = dict.fromkeys(sites, "0-0")
    assert raw.waiting(cursors, 0.05) == set()
    for site in sites:
        later = threading.Timer(0.1, raw.append, [site, hits(site), "web-1", 1])
        later.start()
        begun = time.monotonic()
        assert raw.waiting(cursors, 10) == {site}
        assert time.monotonic() - begun < 5
        later.join()
        del cursors[site]
    assert raw.waiting(dict.fromkeys(sites, "0-0"), 1) == set(sites)


def test_of_two_counters_on_a_cluster_one_is_at_work(redis: Cluster, sites: list[str]) -> None:
    one, other = Lease(redis), Lease(redis)
    assert (one.hold(), other.hold(), one.hold()) == (True, False, True)
    one.release()
    assert other.hold()


def test_a_site_that_moves_to_another_node_is_followed(redis: Cluster, cluster: OwnCluster) -> None:
    """While its slot moves it is out of reach, then all is as before."""
    site = "moving.example"
    raw, counting = RawLog(redis), Counting.of(Settings(), redis)
    raw.append(site, hits(site), "web-1", 1)
    counting.step(site)
    source = cluster.master_of(keys.raw(site))
    target = next(node for node in cluster.nodes if cluster.is_master(node) and node is not source)
    with cluster.moving(keys.raw(site), target), pytest.raises(Refused):  # TRYAGAIN, or ASK
        append_and_count(raw, counting, site)
    raw.append(site, hits(site), "web-1", 2)
    raw.append(site, hits(site), "web-1", 2)
    until(lambda: counting.step(site).hits == 0)
    assert (raw.length(site), total(redis, site)) == (2 * FEW, 2 * FEW)
    assert raw.server(site) == f"127.0.0.1:{target.port}"


def append_and_count(raw: RawLog, counting: Counting, site: str) -> None:
    raw.append(site, hits(site), "web-1", 2)
    counting.step(site)


def test_while_a_node_hangs_its_sites_fail_quickly_and_the_others_go_on(
    redis: Cluster, cluster: OwnCluster, sites: list[str]
) -> None:
    raw = RawLog(redis)
    for site in sites:
        raw.append(site, hits(site), "web-1", 1)
    node = cluster.master_of(keys.raw(sites[0]))
    node.hang()
    try:
        begun = time.monotonic()
        with suppress(NodeAway):
            raw.append(sites[0], hits(sites[0]), "web-1", 2)
        assert time.monotonic() - begun < TIMEOUT + 2
        assert [raw.append(site, hits(site), "web-1", 2) for site in sites[1:]] == [FEW, FEW]
        assert raw.waiting(dict.fromkeys(sites, "0-0"), 1) >= set(sites[1:])
        until(lambda: cluster.master_of(keys.raw(sites[0])) is not node)
    finally:
        node.wake()
    healed(lambda: raw.append(sites[0], hits(sites[0]), "web-1", 2))
    assert raw.length(sites[0]) == 2 * FEW


def healed(do: Callable[[], int]) -> int:
    """What it gives as soon as nobody is sent to the node that is lost any more."""

    def ask() -> list[int]:
        with suppress(NodeAway):
            return [do()]
        return []

    return until(ask)[0]


@pytest.mark.parametrize("how", ["kill", "hang"])
def test_a_subscription_outlives_the_node_that_it_was_made_at(
    how: str, redis: Cluster, cluster: OwnCluster
) -> None:
    channel = keys.live("watched.example")
    with redis.pubsub() as pubsub:
        lost = at_last(pubsub, channel, cluster)
        lost.kill() if how == "kill" else lost.hang()
        found = at_last(pubsub, channel, cluster)
        other = next(each for each in cluster.nodes if each.is_up and each is not found)
        until(lambda: other.client.publish(channel, how) is not None)
        message = until(lambda: pubsub.get_message(timeout=1))
        assert found is not lost
        assert (message["type"], message["data"]) == ("message", how.encode())
    lost.start() if how == "kill" else lost.wake()


def at_last(pubsub: PubSub, channel: str, cluster: OwnCluster) -> Node:
    """Where the subscription is when it is confirmed."""
    node = until(lambda: listens_at(pubsub, channel, cluster))
    assert node
    return node


def listens_at(pubsub: PubSub, channel: str, cluster: OwnCluster) -> Node | None:
    """Where it is if it has just been confirmed; made anew as the hub does it."""
    try:
        if not pubsub.connection:
            pubsub.subscribe(channel)
        said = pubsub.get_message(timeout=0.1)
    except RedisError:
        pubsub.close()
        return None
    if said is None or said["type"] != "subscribe":
        return None
    connection: Any = pubsub.connection
    return next(node for node in cluster.nodes if node.port == connection.port)


def test_a_hit_is_appended_when_a_replica_has_it(redis: Cluster, cluster: OwnCluster) -> None:
    site = "copied.example"
    raw = RawLog(redis, replicas=1)
    assert raw.append(site, hits(site), "web-1", 1) == FEW
    with pytest.raises(TooFewReplicas):
        RawLog(redis, replicas=2).append(site, hits(site), "web-1", 2)
    assert raw.append(site, hits(site), "web-1", 2) == 0
    master = cluster.master_of(keys.raw(site))
    master.kill()
    until(lambda: cluster.master_of(keys.raw(site)) is not master)
    assert healed(lambda: RawLog(redis).length(site)) == 2 * FEW
    master.start()


@pytest.fixture
def service(redis: Cluster, cluster: OwnCluster) -> Iterator[Service]:
    with running(cluster.url, canary="0") as started:
        yield started


def test_doors_walls_and_api_work(service: Service, redis: Cluster, sites: list[str]) -> None:
    for site in sites:
        for n in range(FEW):
            assert service.hit(f"https://{site}/{n}").status == 200
        assert service.frame(FEW, site)["hits"] == FEW
    listed = json.loads(service.get("/api/sites").body)["sites"]
    assert [(row["site"], row["hits"]) for row in listed] == [(site, FEW) for site in sorted(sites)]
    until(lambda: service.get("/readyz").status == 200)
    day = Calendar.of(service.settings).bucket("day", datetime.now(UTC)).partition(":")[2]
    for site in sites:
        for asked in (f"summaries/url?bucket=day&at={day}", "series/server/" + site, "hits"):
            assert service.get(f"/api/{site}/{asked}").status == 200, asked


def test_a_flask_application_stores_its_hits_there(
    redis: Cluster, cluster: OwnCluster, sites: list[str]
) -> None:
    storage = RedisStorage(url=cluster.url)
    batch = Batch(
        [structs.replace(hit, source="flask") for site in sites for hit in hits(site)], "flask-1", 1
    )
    storage.store(batch)
    storage.store(batch)
    assert len(storage.get_usage(limit=0)) == len(sites) * FEW
    counting = Counting.of(Settings(), redis)
    assert [counting.step(site).hits for site in sites] == [FEW] * len(sites)
    storage.settings = Settings(redis_url=cluster.url)
    assert {row["hits"] for row in sumUrl.get_sum(storage, (None, None), (0, 1), None)["month"]} == {
        len(sites)
    }


def test_every_command_works(
    redis: Cluster, cluster: OwnCluster, sites: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", cluster.url)
    monkeypatch.setenv("HITWALL_DATA", str(tmp_path))
    log, stop = tmp_path / "access.log", threading.Event()
    log.write_text("".join(LINE.format(at=datetime.now(UTC), n=n, agent=FIREFOX) for n in range(FEW)))
    counter = threading.Thread(target=run, args=[Settings.read(), connect(cluster.url), stop])
    counter.start()
    try:
        for site in sites:
            assert f"{FEW}" in said("import", "--site", site, str(log))
    finally:
        stop.set()
        counter.join()
    redis.hset(keys.counter(sites[0], "hits", "server", "month:2026-11"), "wrong", 1)
    assert said("verify", status=1).count("differ") == MASTERS
    assert said("recount").count("mended") == MASTERS
    assert said("verify").count("0 differ") == MASTERS
    assert said("sites").count(str(FEW)) >= MASTERS
    status = json.loads(said("status", "--json"))
    assert [(each["hits"], each["lag"]) for each in status["sites"]] == [(FEW, 0.0)] * MASTERS
    assert 0 < status["used"] < status["limit"]
    assert said("archive", f"sqlite:///{tmp_path / 'hits.db'}").count(str(FEW)) >= 1
    for site in sites:
        assert "/page/1" in said("top", "url", "--site", site)
        assert "/page/1" in said("hits", "--site", site)
        assert "/page/1" in said("export", "hits", "--site", site)
    assert said("forget", "--ip", "203.0.113.7", "--yes").count(str(FEW)) >= MASTERS
    assert "Raw log" in said("explain", keys.raw(sites[0]))


def test_an_address_that_leads_to_no_cluster_and_one_that_leads_to_a_node_say_so(
    redis: Cluster, cluster: OwnCluster, redis_url: str, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lone = cluster.nodes[0].port
    for url, words in {
        f"redis+cluster://127.0.0.1:{redis_url.rpartition(':')[2]}": "cluster support disabled",
        f"redis+cluster://127.0.0.1:{free_port}": f"127.0.0.1:{free_port}: Error 111",
        f"redis://127.0.0.1:{lone}": "redis+cluster://",
    }.items():
        monkeypatch.setenv("REDIS_URL", url)
        assert words in said("status", status=1)


def said(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == status, (words, done.output, done.exception)
    return done.output
