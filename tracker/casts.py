"""What the text of a setting means: each cast gives the value, or a ValueError that ends a sentence."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tracker.cluster_map import is_cluster, seeds
from tracker.hit import BadHit, site_name

# Of a CSP source: no character of it may end the directive. https://www.w3.org/TR/CSP3/#grammardef-host-source
ORIGIN = re.compile(r"https?://(\*\.)?[a-z0-9][a-z0-9.-]*(:([0-9]{1,5}|\*))?")


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


def one_of(*words: str) -> Callable[[str], str]:
    def cast(value: str) -> str:
        if value not in words:
            raise ValueError(f"takes {', '.join(words[:-1])} or {words[-1]}")
        return value

    return cast


def public_sites(value: str) -> tuple[str, ...]:
    """None, each by its name, or `*` alone."""
    return () if not value else (sites(value) or ("*",))


def rate(value: str) -> str:
    if value and not re.fullmatch(r"[1-9]\d{0,8}/(second|minute|hour)", value):
        raise ValueError("takes a number of hits for a time, such as 20/second or 600/minute")
    return value


def base_url(value: str) -> str:
    if value and not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~/-]*)?", value):
        raise ValueError("takes an address such as https://stats.example.com")
    return value.rstrip("/")


def frame_ancestors(value: str) -> str:
    if value not in ("none", "self") and not all(map(ORIGIN.fullmatch, value.split())):
        raise ValueError("takes none, self or origins such as https://intranet.example.com, with blanks")
    return f"'{value}'" if value in ("none", "self") else value


def host(value: str) -> str:
    return value.strip("[]")


def redis_url(value: str) -> str:
    try:
        known = not value or (bool(seeds(value)) if is_cluster(value) else _is_redis(value))
    except ValueError:
        known = False
    if not known:
        raise ValueError(
            "takes an address such as redis://127.0.0.1:6379/0 or redis+cluster://node-1,node-2:7000"
        )
    return value


def _is_redis(value: str) -> bool:
    parts = urlsplit(value)
    return parts.scheme in ("redis", "rediss", "unix") and parts.port != 0


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
