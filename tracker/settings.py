"""Settings: read once from the environment, frozen, passed by hand. One table: name, default, help."""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tracker.hit import BadHit, site_name

PREFIX = "HITWALL_"
URL_FILE = "redis.url"  # in the data directory, while an embedded Redis runs: where it listens
CLIENT_HINTS = (
    "Sec-CH-UA,Sec-CH-UA-Mobile,Sec-CH-UA-Platform,Sec-CH-UA-Platform-Version,"
    "Sec-CH-UA-Model,Sec-CH-UA-Arch,DNT,Sec-GPC"
)
LOOPBACK = re.compile(r"127(\.\d{1,3}){3}|localhost|::1|\[::1\]")


class BadSetting(ValueError):
    """A setting cannot be used; the message names the variable and what it takes."""


def _text(value: str) -> str:
    return value


def _number(low: int, high: int) -> Callable[[str], int]:
    def cast(value: str) -> int:
        if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
            raise ValueError(f"takes a whole number from {low} to {high}")
        return int(value)

    return cast


def _names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _sites(value: str) -> tuple[str, ...]:
    names = _names(value)
    if not names:
        raise ValueError("takes * or host names with commas between them")
    try:
        return () if "*" in names else tuple(site_name(name) for name in names)
    except BadHit as bad:
        raise ValueError(f"takes * or host names with commas between them ({bad})") from None


def _zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("takes the name of a time zone, such as Europe/Berlin") from None


def _visitor(value: str) -> str:
    if value not in ("cookie", "hash", "off"):
        raise ValueError("takes cookie, hash or off")
    return value


def _host(value: str) -> str:
    return value.strip("[]")


def _redis_url(value: str) -> str:
    parts = urlsplit(value)
    try:
        known = parts.scheme in ("redis", "rediss", "unix") and parts.port != 0
    except ValueError:
        known = False
    if value and not known:
        raise ValueError("takes an address such as redis://127.0.0.1:6379/0")
    return value


def _age(value: str) -> timedelta | None:
    found = re.fullmatch(r"(\d{1,5})([hd])", value)
    if found:
        amount = int(found[1])
        return timedelta(hours=amount) if found[2] == "h" else timedelta(days=amount)
    if value == "0":
        return None
    raise ValueError("takes an age such as 36h or 14d, or 0 for ever")


def _setting(default: str, help: str, cast: Callable[[str], Any] = _text, name: str = "") -> Any:
    meta = {"default": default, "help": help, "cast": cast, "name": name}
    return field(default_factory=lambda: cast(default), metadata=meta)


@dataclass(frozen=True)
class Settings:
    """What an operator can set. `Settings()` has the defaults, `Settings.read()` the environment's."""

    redis_url: str = _setting("", "The Redis to use; unset: an embedded one", _redis_url, "REDIS_URL")
    host: str = _setting("127.0.0.1", "Address the web process listens on", _host)
    port: int = _setting("8000", "Port the web process listens on", _number(1, 65535))
    data: Path = _setting("./data", "Directory of the embedded Redis", Path)
    sites: tuple[str, ...] = _setting("*", "Sites that may count here, with commas", _sites)
    token: str = _setting("", "Who has it may look; needed where HOST is not loopback")
    timezone: ZoneInfo = _setting("UTC", "Zone that names hours, days and months", _zone)
    trusted_proxies: int = _setting("0", "Proxies of ours that add to X-Forwarded-For", _number(0, 10))
    workers: int = _setting("1", "Web processes", _number(1, 64))
    streams: int = _setting("2000", "Walls that one web process serves at once", _number(1, 20000))
    embedded_port: int = _setting(
        "6399", "Port of the embedded Redis, or the next free one", _number(1, 65535)
    )
    visitor: str = _setting("cookie", "How visitors are told apart: cookie, hash or off", _visitor)
    headers: tuple[str, ...] = _setting(
        CLIENT_HINTS, "Request headers kept; * all but Cookie and Authorization", _names
    )
    max_sites: int = _setting("1000", "Sites at most; later ones are refused", _number(1, 100000))
    max_labels: int = _setting(  # not below the minutes of a day: the series are summaries, too
        "10000", "Labels of a counter at most; the rest is (other)", _number(1440, 1000000)
    )
    keep_hour: timedelta | None = _setting("14d", "Age at which hour counters expire", _age)
    keep_day: timedelta | None = _setting("400d", "Age at which day counters expire", _age)
    keep_month: timedelta | None = _setting("0", "Age at which month counters expire", _age)
    keep_raw: timedelta | None = _setting("30d", "Age at which raw hits are forgotten", _age)

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """The environment's settings; BadSetting names the first variable that cannot be used."""
        known = {variable(row): row for row in fields(cls)}
        for name in environ:
            if name.startswith(PREFIX) and name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise BadSetting(f"{name} is no setting of Hitwall{hint} See: hitwall settings")
        return cls(**{row.name: _value(name, row, environ) for name, row in known.items()})

    @property
    def open_to_lookers(self) -> bool:
        """Bound to loopback without a token: whoever reaches the port may look."""
        return not self.token and LOOPBACK.fullmatch(self.host) is not None

    @property
    def address(self) -> str:
        """Host and port in one, as an address has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def running_redis(self) -> str:
        """REDIS_URL, or where the embedded Redis of this data directory listens just now."""
        file = self.data / URL_FILE
        if not self.redis_url and not file.is_file():
            raise BadSetting("No Redis: set REDIS_URL, or start one with `hitwall run`.")
        return self.redis_url or file.read_text().strip()


def variable(row: Any) -> str:
    """The environment variable of a field of Settings."""
    return str(row.metadata["name"] or PREFIX + row.name.upper())


def _value(name: str, row: Any, environ: Mapping[str, str]) -> Any:
    text = environ.get(name) or row.metadata["default"]
    try:
        return row.metadata["cast"](text)
    except ValueError as wrong:
        raise BadSetting(f"{name}={text} cannot be used: {name} {wrong}.") from None
