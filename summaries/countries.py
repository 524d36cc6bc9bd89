"""Countries of addresses, by an MMDB file."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path

import maxminddb

from tracker.settings import BadSetting

LOCAL = [  # of nobody's country, whatever a file says of them
    ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
]
CODE = re.compile(r"[A-Za-z]{2}")
CACHED = 4096  # addresses whose country is remembered


def countries(file: Path) -> Callable[[str], str | None]:
    """A function from an address to its ISO 3166 code, `DE`; None where the file knows none
    and for addresses of local networks.

    Raises BadSetting where the file cannot be read. A newer file counts from the next start on.
    """
    try:
        reader = maxminddb.open_database(file)
    except (maxminddb.InvalidDatabaseError, OSError) as error:
        raise BadSetting(
            f"HITWALL_GEOIP={file} cannot be used: HITWALL_GEOIP takes an MMDB file ({error})."
        ) from None

    @lru_cache(maxsize=CACHED)
    def country_of(address: str) -> str | None:
        try:
            found = ip_address(address)
            return None if any(found in network for network in LOCAL) else _code(reader.get(found))
        except ValueError:  # no address, or one of IPv6 and the file has none
            return None

    return country_of


def _code(record: object) -> str | None:
    """As MaxMind and DB-IP have it, {"country": {"iso_code": "DE"}}; as others do, flat."""
    if not isinstance(record, Mapping):
        return None
    found = record.get("country_code") or record.get("country")
    code = found.get("iso_code") if isinstance(found, Mapping) else found
    return code.upper() if isinstance(code, str) and CODE.fullmatch(code) else None
