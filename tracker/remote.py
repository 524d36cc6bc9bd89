"""Who sent a request: the client's address through trusted proxies, and the network it is in."""

from functools import lru_cache
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

LONG = 64  # characters looked at, and remembered; an address with port and zone has fewer
NETWORK = {AF_INET: 3, AF_INET6: 6}  # bytes that stay of an address: a provider's, not a household's


def client(peer: str, forwarded: str, hops: int) -> str:
    """The address of the client behind `hops` proxies of ours, else the peer's.

    Each proxy adds the address it was called from at the end of X-Forwarded-For; what stands
    before our own proxies' entries anybody may have written.
    """
    if hops:
        entries = forwarded.rsplit(",", hops)
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
    return usual(text) or careful(text)


def usual(text: str) -> str:
    """The system's functions take a tenth of the time, but know of no zone, and write some with dots."""
    family = AF_INET6 if ":" in text else AF_INET
    try:
        address = inet_ntop(family, inet_pton(family, text))
    except (OSError, ValueError):
        return ""
    return address if family == AF_INET or "." not in address else ""


def careful(text: str) -> str:
    """The canonical form of an address; empty where it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address).partition("%")[0]  # a zone names an interface


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """The first address of its network: 203.0.113.7 -> 203.0.113.0. Raises ValueError where that is none."""
    if not address:
        return ""
    family = AF_INET6 if ":" in address else AF_INET
    try:
        whole = inet_pton(family, address)
    except OSError:
        raise ValueError(f"{address!r} is no address") from None
    return inet_ntop(family, whole[: NETWORK[family]].ljust(len(whole), b"\0"))
