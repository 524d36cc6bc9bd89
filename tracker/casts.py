"""What the text of a setting means: each cast gives the value, or a ValueError that ends a sentence."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tracker.hit import BadHit, site_name


def text(value: str) -> str:
    return value


def number(low: int, high: int) -> Callable[[str], int]:
    def cast(value: str) -> int:
        if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
            raise ValueError(f"takes a whole number from {low} to {high}")
        return int(value)

    return cast


def names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def sites(value: str) -> tuple[str, ...]:
    given = names(value)
    if not given:
        raise ValueError("takes * or host names with commas between them")
    try:
        return () if "*" in given else tuple(site_name(name) for name in given)
    except BadHit as bad:
        raise ValueError(f"takes * or host names with commas between them ({bad})") from None


def zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("takes the name of a time zone, such as Europe/Berlin") from None


def choice(value: str) -> bool:
    if value not in ("yes", "no"):
        raise ValueError("takes yes or no")
    return value == "yes"


def length(value: str) -> int:
    if not (value.isascii() and value.isdigit() and (int(value) == 0 or int(value) >= 10_000)):
        raise ValueError("takes a number of hits from 10000, or 0 for any number")
    return int(value)


def file(value: str) -> Path | None:
    if value and not Path(value).is_file():
        raise ValueError("takes the path of a file that is there")
    return Path(value) if value else None


def visitor(value: str) -> str:
    if value not in ("cookie", "hash", "off"):
        raise ValueError("takes cookie, hash or off")
    return value


def host(value: str) -> str:
    return value.strip("[]")


def redis_url(value: str) -> str:
    parts = urlsplit(value)
    try:
        known = parts.scheme in ("redis", "rediss", "unix") and parts.port != 0
    except ValueError:
        known = False
    if value and not known:
        raise ValueError("takes an address such as redis://127.0.0.1:6379/0")
    return value


def age(value: str) -> timedelta | None:
    found = re.fullmatch(r"(\d{1,5})([hd])", value)
    if found:
        amount = int(found[1])
        return timedelta(hours=amount) if found[2] == "h" else timedelta(days=amount)
    if value == "0":
        return None
    raise ValueError("takes an age such as 36h or 14d, or 0 for ever")


def archive(value: str) -> str:
    if value and not re.match(r"(sqlite|postgres|postgresql|mysql|mariadb)(\+\w+)?://", value):
        raise ValueError("takes an address such as sqlite:///hits.db or postgresql://user@host/name")
    return value
