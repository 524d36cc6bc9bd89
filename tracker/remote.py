"""Who sent a request: the client's address through trusted proxies, and the network it is in."""

from functools import lru_cache
from ipaddress import ip_address, ip_network

LONG = 64  # characters looked at, and remembered; an address with port and zone has fewer
NETWORK = {4: 24, 6: 48}  # bits that stay of an address: what a provider gives out, not a household


def client(peer: str, forwarded: str, hops: int) -> str:
    """The address of the client behind `hops` proxies of ours, else the peer's.

    Each proxy adds the address it was called from at the end of X-Forwarded-For; what stands
    before our own proxies' entries anybody may have written.
    """
    if hops:
        entries = forwarded.split(",")
        if len(entries) >= hops:
            return _address(entries[-hops].strip()[:LONG]) or _address(peer)
    return _address(peer[:LONG])


@lru_cache(maxsize=4096)
def _address(text: str) -> str:
    """Canonical form, without a port or brackets; empty where it is no address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address).partition("%")[0]  # a zone names an interface


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """The first address of its network: 203.0.113.7 -> 203.0.113.0."""
    if not address:
        return ""
    bits = NETWORK[ip_address(address).version]
    return str(ip_network(f"{address}/{bits}", strict=False).network_address)
