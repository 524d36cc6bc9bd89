"""Countries of addresses, by an MMDB file."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tracker.geoip import records

CODE = re.compile(r"[A-Za-z]{2}")


def countries(file: Path) -> Callable[[str], str | None]:
    """A function from an address to its ISO 3166 code, `DE`; None where the file knows none
    and for addresses of local networks. Raises BadSetting where the file cannot be read.
    """
    record_of = records(file)

    def country_of(address: str) -> str | None:
        return code(record_of(address))

    return country_of


def code(record: Mapping[str, Any] | None) -> str | None:
    """The country of a record, or of a hit's ip_info.

    As MaxMind and DB-IP have it, {"country": {"iso_code": "DE"}}; as others do, flat.
    """
    if record is None:
        return None
    found = record.get("country_code") or record.get("country")
    code = found.get("iso_code") if isinstance(found, Mapping) else found
    return code.upper() if isinstance(code, str) and CODE.fullmatch(code) else None
