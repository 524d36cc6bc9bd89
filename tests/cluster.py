"""A Redis Cluster of our own for tests: three masters with a replica each, to be killed one by one."""

import random
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from hitwall.redis_server import dying_with_parent, find_server
from tests.waiting import until
from tracker import keys
from tracker.nodes import run

HOST = "127.0.0.1"
BUS = 10_000  # the nodes talk to each other at this much above their ports
PORTS = range(11_000, 22_000)  # the bus, too, lies below the ports that the system gives out by itself
MASTERS = 3
SLOTS = 16_384
NODE_TIMEOUT = 1000  # milliseconds until the others call a node failed and its replica takes over
READY = 30.0  # seconds
OPTIONS = f"""--bind {HOST} --daemonize no --cluster-enabled yes --cluster-node-timeout {NODE_TIMEOUT}
    --cluster-replica-validity-factor 0 --cluster-require-full-coverage no --repl-diskless-sync yes
    --repl-diskless-sync-delay 0 --repl-backlog-size 4mb --loglevel notice""".split()
OPTIONS += ["--save", ""]


class Node:
    """One server of the cluster, in a directory of its own."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        self.port = port
        self._folder = folder / str(port)
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._hangs = False
        self.client = Redis(HOST, port, socket_timeout=5, retry=Retry(NoBackoff(), 1))

    def start(self) -> None:
        """With what it has on its disk; the cluster makes it a replica where another has taken over."""
        self._folder.mkdir(exist_ok=True)
        command = [str(find_server()), *OPTIONS, "--port", str(self.port), "--dir", str(self._folder)]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._options], stdout=log, stderr=log, preexec_fn=dying_with_parent()
            )
        until(self.answers, READY)

    def answers(self) -> bool:
        with suppress(RedisError):
            return bool(self.client.ping())
        return False

    def hang(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        self._hangs = True

    def wake(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)
        self._hangs = False

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def is_up(self) -> bool:
        return self._process is not None and not self._hangs

    def kill(self) -> None:
        """At once, as power does it, and also where it hangs."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process, self._hangs = None, False

    def says(self, *command: str) -> dict[str, str]:
        """The lines of an INFO or CLUSTER INFO."""
        found = run(self.client, *command)
        text = found.decode() if isinstance(found, bytes) else ""
        pairs = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        return pairs or {str(name): str(value) for name, value in found.items()}

    @property
    def is_ready(self) -> bool:
        """Whether it sees the whole cluster, and as a replica has all that its master has."""
        info = self.says("INFO", "replication")
        follows = info["role"] == "master" or info.get("master_link_status") == "up"
        return follows and self.says("CLUSTER INFO")["cluster_state"] == "ok"


class OwnCluster:
    """All servers; `url` names two of them, as REDIS_URL does."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.nodes = [Node(folder, port, *options) for port in free_ports(2 * MASTERS)]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"{HOST}:{node.port}" for node in self.nodes[:2])

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        masters, replicas = self.nodes[:MASTERS], self.nodes[MASTERS:]
        for number, node in enumerate(masters):
            slots = range(number * SLOTS // MASTERS, (number + 1) * SLOTS // MASTERS)
            run(node.client, "CLUSTER ADDSLOTS", *slots)
            run(node.client, "CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            run(node.client, "CLUSTER MEET", HOST, self.nodes[0].port)
        until(lambda: all(self._knows_all(node) for node in self.nodes), READY)
        for master, replica in zip(masters, replicas, strict=True):
            run(replica.client, "CLUSTER REPLICATE", run(master.client, "CLUSTER MYID").decode())
        self.wait()

    def _knows_all(self, node: Node) -> bool:
        return node.says("CLUSTER INFO")["cluster_known_nodes"] == str(len(self.nodes))

    def wait(self) -> None:
        """Until every node sees the whole cluster, and every replica has what its master has."""
        until(lambda: all(node.is_ready for node in self.nodes), READY)

    def master_of(self, key: str) -> Node:
        """The node that holds the key, as one says that has not failed and does not hang."""
        slot = key_slot(key.encode())
        for node in [node for node in self.nodes if node.is_up]:
            ranges = run(node.client, "CLUSTER SLOTS")
            port = next((m[1] for first, last, m, *_ in ranges if first <= slot <= last), 0)
            return next(each for each in self.nodes if each.port == port)
        raise AssertionError("no node answers")

    def is_master(self, node: Node) -> bool:
        return node.says("INFO", "replication")["role"] == "master"

    @contextmanager
    def moving(self, key: str, target: Node) -> Iterator[None]:
        """The slot of the key goes to that node, as a resharding does it: one key now, the others after."""
        source, slot = self.master_of(key), key_slot(key.encode())
        names = {node: run(node.client, "CLUSTER MYID").decode() for node in (source, target)}
        run(target.client, "CLUSTER SETSLOT", slot, "IMPORTING", names[source])
        run(source.client, "CLUSTER SETSLOT", slot, "MIGRATING", names[target])
        self._migrate(source, target, slot, 1)
        yield
        while self._migrate(source, target, slot, SLOTS):
            pass
        for node in (target, source):  # the others hear of it
            run(node.client, "CLUSTER SETSLOT", slot, "NODE", names[target])

    def _migrate(self, source: Node, target: Node, slot: int, most: int) -> int:
        there = run(source.client, "CLUSTER GETKEYSINSLOT", slot, most)
        for key in there:
            run(source.client, "MIGRATE", HOST, target.port, key, 0, 5000)
        return len(there)

    def empty(self) -> None:
        """Before a test; scripts are forgotten, too."""
        for node in self.nodes:
            if self.is_master(node):
                node.client.flushall()
                node.client.script_flush()

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()
            node.client.close()


@contextmanager
def running_cluster(folder: Path, *options: str) -> Iterator[OwnCluster]:
    """The cluster, whole, until the end; options are those of redis-server."""
    cluster = OwnCluster(folder, *options)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on, and nobody on those of their bus."""
    found = [port for port in random.sample(PORTS, 100) if is_free(port) and is_free(port + BUS)]
    return found[:number]


def is_free(port: int) -> bool:
    with suppress(OSError), socket.create_server((HOST, port)):
        return True
    return False


def sites_on_every_node(cluster: OwnCluster, each: int, name: str = "site") -> dict[int, list[str]]:
    """Port of a master -> so many sites whose keys lie there; all begin with the name."""
    found: dict[int, list[str]] = {}
    for number in range(1000):
        site = f"{name}-{number}.example"
        there = found.setdefault(cluster.master_of(keys.raw(site)).port, [])
        if len(there) < each:
            there.append(site)
        if len(found) == MASTERS and all(len(sites) == each for sites in found.values()):
            return found
    raise AssertionError(found)
