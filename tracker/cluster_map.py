"""Which node of a Redis Cluster holds which slot, and what redis+cluster://… names. Pure."""

import re
from dataclasses import dataclass
from typing import Any

SUFFIX = "+cluster"  # of the scheme
SCHEMES = (f"redis{SUFFIX}://", f"rediss{SUFFIX}://")  # the second one over TLS
PORT = 6379  # Redis's own
HOST = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>\d{1,5}))?")

Address = tuple[str, int]  # host and port


@dataclass(frozen=True)
class Map:
    """The cluster as one of its nodes sees it."""

    ranges: tuple[tuple[int, int, Address], ...]  # first and last slot, and the master that holds them
    nodes: frozenset[Address]  # masters and replicas that are up

    def owner(self, slot: int) -> Address | None:
        """The master that holds the slot; None where none does."""
        return next((address for first, last, address in self.ranges if first <= slot <= last), None)

    def masters(self) -> list[Address]:
        """Those that hold slots, each once."""
        return list(dict.fromkeys(address for _, _, address in self.ranges))


def read_map(found: Any, asked: Address) -> Map:
    """What CLUSTER SLOTS answered; a node that does not know its own host is the one that was asked.

    Of a node come its preferred endpoint, its port and more. https://redis.io/docs/latest/commands/cluster-slots/
    """
    ranges: list[tuple[int, int, Address]] = []
    nodes: set[Address] = set()
    for first, last, *known in found:
        places = [_address(node, asked) for node in known]
        ranges.append((int(first), int(last), places[0]))
        nodes.update(places)
    return Map(tuple(sorted(ranges)), frozenset(nodes))


def _address(node: Any, asked: Address) -> Address:
    host, port = node[0], int(node[1])
    name = host.decode() if isinstance(host, bytes) else host
    return (name if name and name != "?" else asked[0]), port


def name_of(address: Address) -> str:
    """As people write it."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_cluster(url: str) -> bool:
    """Whether the address is that of a cluster."""
    return url.startswith(SCHEMES)


def seeds(url: str) -> list[Address]:
    """The nodes that the address of a cluster names. Raises ValueError where it is none."""
    _, _, hosts, path, _ = _parts(url)
    if path not in ("", "/", "/0"):
        raise ValueError("a cluster has one database, 0")
    named = [HOST.fullmatch(name) for name in hosts.split(",")]
    found = [(name["host"].strip("[]"), int(name["port"] or PORT)) for name in named if name]
    if len(found) < len(named) or not all(0 < port < 65536 for _, port in found):
        raise ValueError("a cluster's nodes are hosts and ports with commas between them")
    return found


def node_url(url: str, address: Address) -> str:
    """The address of one node, with the cluster's user, password and options."""
    scheme, user, _, _, options = _parts(url)
    return f"{scheme.removesuffix(SUFFIX)}://{user}{name_of(address)}/0{options}"


def _parts(url: str) -> tuple[str, str, str, str, str]:
    """Scheme, user and @, hosts, path, ? and options. To urlsplit, brackets mean a single host."""
    scheme, _, rest = url.partition("://")
    rest, mark, options = rest.partition("?")
    place, slash, path = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    return scheme, user + at, hosts, slash + path, mark + options
