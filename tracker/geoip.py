"""Where an address is, by an MMDB file on this machine. Nobody else is asked."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import maxminddb

from tracker.settings import BadSetting

LOCAL = [  # of nobody's country, whatever a file says of them
    ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
]
CACHED = 4096  # addresses whose record is remembered
MOST = 12  # entries of a record that a hit keeps; a city file has six

Lookup = Callable[[str], Mapping[str, Any] | None]


def records(file: Path) -> Lookup:
    """A function from an address to the file's record of it; None where it has none and for addresses
    of local networks.

    Raises BadSetting where the file cannot be read. A newer file counts from the next start on.
    """
    try:
        reader = maxminddb.open_database(file)
    except (maxminddb.InvalidDatabaseError, OSError) as error:
        raise BadSetting(
            f"HITWALL_GEOIP={file} cannot be used: HITWALL_GEOIP takes an MMDB file ({error})."
        ) from None

    @lru_cache(maxsize=CACHED)
    def record_of(address: str) -> Mapping[str, Any] | None:
        try:
            found = ip_address(address)
            record = None if any(found in network for network in LOCAL) else reader.get(found)
        except ValueError:  # no address, or one of IPv6 and the file has none
            return None
        return record if isinstance(record, Mapping) else None

    return record_of


def flat(record: Mapping[str, Any] | None) -> dict[str, str]:
    """A record as names and texts: `{"country": "DE", "city": "Berlin"}`; of a place its code, else its
    English name."""
    told = {name: _told(value) for name, value in (record or {}).items()}
    return dict([(name, text) for name, text in told.items() if text][:MOST])


def _told(value: Any) -> str:
    if isinstance(value, list):  # subdivisions, the largest first
        return _told(value[0]) if value else ""
    if isinstance(value, Mapping):
        names = value.get("names")
        english = names.get("en") if isinstance(names, Mapping) else None
        value = value.get("iso_code") or value.get("code") or english
    return str(value)[:128] if isinstance(value, str | int | float) else ""
