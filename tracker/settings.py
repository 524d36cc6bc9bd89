"""Settings: read once from the environment, frozen, passed by hand. One table: name, default, help."""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tracker import casts

PREFIX = "HITWALL_"
URL_FILE = "redis.url"  # in the data directory, while an embedded Redis runs: where it listens
CLIENT_HINTS = (
    "Sec-CH-UA,Sec-CH-UA-Mobile,Sec-CH-UA-Platform,Sec-CH-UA-Platform-Version,"
    "Sec-CH-UA-Model,Sec-CH-UA-Arch,DNT,Sec-GPC"
)
LOOPBACK = re.compile(r"127(\.\d{1,3}){3}|localhost|::1|\[::1\]")


class BadSetting(ValueError):
    """A setting cannot be used; the message names the variable and what it takes."""


class NoArchive(RuntimeError):
    """The SQL archive cannot be used; the message says why, without a password."""


def _setting(default: str, help: str, cast: Callable[[str], Any] = casts.text, name: str = "") -> Any:
    meta = {"default": default, "help": help, "cast": cast, "name": name}
    return field(default_factory=lambda: cast(default), metadata=meta)


@dataclass(frozen=True)
class Settings:
    """What an operator can set. `Settings()` has the defaults, `Settings.read()` the environment's."""

    redis_url: str = _setting(
        "",
        "The Redis to use, or a cluster: redis+cluster://…; unset: an embedded one",
        casts.redis_url,
        "REDIS_URL",
    )
    host: str = _setting("127.0.0.1", "Address the web process listens on", casts.host)
    port: int = _setting("8000", "Port the web process listens on", casts.number(1, 65535))
    data: Path = _setting("./data", "Directory of the embedded Redis, and of hits that wait for Redis", Path)
    sites: tuple[str, ...] = _setting("*", "Sites that may count here, with commas", casts.sites)
    token: str = _setting("", "Who has it may look; needed where HOST is not loopback")
    public: tuple[str, ...] = _setting(
        "", "Sites whose numbers everybody may see, with commas; * for all", casts.public_sites
    )
    frame_ancestors: str = _setting(
        "none", "Who may show the wall in a frame: none, self, or origins with blanks", casts.frame_ancestors
    )
    url: str = _setting("", "Address under which browsers reach this service", casts.base_url)
    timezone: ZoneInfo = _setting("UTC", "Zone that names hours, days and months", casts.zone)
    trusted_proxies: int = _setting("0", "Proxies of ours that add to X-Forwarded-For", casts.number(0, 10))
    workers: int = _setting("1", "Web processes", casts.number(1, 64))
    streams: int = _setting("2000", "Walls that one web process serves at once", casts.number(1, 20000))
    rate: str = _setting(
        "", "Hits an address may send, as in 20/second or 600/minute; unset: any number", casts.rate
    )
    spool_mb: int = _setting(
        "256", "Megabytes of hits kept on disk while Redis cannot take them", casts.number(1, 1_000_000)
    )
    replicas: int = _setting(
        "0", "Replicas that must have a hit, too, before it is answered", casts.number(0, 10)
    )
    embedded_port: int = _setting(
        "6399", "Port of the embedded Redis, or the next free one", casts.number(1, 65535)
    )
    visitor: str = _setting(
        "cookie",
        "How visitors are told apart: cookie, hash or off",
        casts.one_of("cookie", "hash", "off"),
    )
    ip: str = _setting(
        "full",
        "What is kept of an address: full, its network, or a hash with a salt that is forgotten",
        casts.one_of("full", "network", "hash"),
    )
    headers: tuple[str, ...] = _setting(
        CLIENT_HINTS, "Request headers kept; * all but Cookie and Authorization", casts.names
    )
    max_sites: int = _setting("1000", "Sites at most; later ones are refused", casts.number(1, 100000))
    max_labels: int = _setting(  # not below the minutes of a day: the series are summaries, too
        "10000", "Labels of a counter at most; the rest is (other)", casts.number(1440, 1000000)
    )
    summaries: tuple[str, ...] = _setting(
        "*", "Summaries counted: names, * for all of ours, module:function for yours", casts.names
    )
    url_params: tuple[str, ...] = _setting(
        "", "Query parameters that make another page, as in ?p=12", casts.names
    )
    geoip: Path | None = _setting("", "An MMDB file that knows the countries of addresses", casts.file)
    count_bots: bool = _setting(
        "no", "yes: bots count everywhere; no: in the summary bot alone", casts.choice
    )
    archive: str = _setting(
        "", "SQL database of hitwall archive, SQLStorage and reports, as a SQLAlchemy URL", casts.archive
    )
    keep_hour: timedelta | None = _setting("14d", "Age at which hour counters expire", casts.age)
    keep_day: timedelta | None = _setting("400d", "Age at which day counters expire", casts.age)
    keep_month: timedelta | None = _setting("0", "Age at which month counters expire", casts.age)
    keep_raw: timedelta | None = _setting("30d", "Age at which raw hits are forgotten", casts.age)
    keep_raw_max: int = _setting("1000000", "Raw hits kept at most of a site; 0 for any number", casts.length)
    max_lag: int = _setting(
        "30", "Seconds that counting may be behind before /readyz says so", casts.number(1, 86_400)
    )
    canary: int = _setting(
        "60",
        "Seconds between two marked hits that time the way to the screen; 0 for none",
        casts.number(0, 86_400),
    )
    log: str = _setting("text", "Form of the log: text or json", casts.one_of("text", "json"))

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """The environment's settings; BadSetting names the first variable that cannot be used."""
        known = {variable(row): row for row in fields(cls)}
        for name in environ:
            if name.startswith(PREFIX) and name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]}?" if near else "."
                raise BadSetting(f"{name} is no setting of Hitwall{hint} See: hitwall settings")
        return cls(**{row.name: _value(name, row, environ) for name, row in known.items()})

    @property
    def open_to_lookers(self) -> bool:
        """Bound to loopback, with neither a token nor public sites: whoever reaches the port may look."""
        return not self.token and not self.public and LOOPBACK.fullmatch(self.host) is not None

    def is_public(self, site: str) -> bool:
        """Whether everybody may see the numbers of that site."""
        return site in self.public or self.public == ("*",)

    @property
    def address(self) -> str:
        """Host and port in one, as an address has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def spool_bytes(self) -> int:
        """What the doors may keep on disk."""
        return self.spool_mb * 2**20

    @property
    def spool(self) -> Path:
        """The directory of the doors' spool: hits that Redis does not take just now."""
        return self.data / "spool"

    def running_redis(self) -> str:
        """REDIS_URL, or where the embedded Redis of this data directory listens just now."""
        file = self.data / URL_FILE
        if self.redis_url:
            return self.redis_url
        if not file.is_file():
            raise BadSetting("No Redis: set REDIS_URL, or start one with `hitwall run`.")
        if file.stat().st_uid not in (os.geteuid(), self.data.stat().st_uid):
            raise BadSetting(f"{file} is somebody else's: set REDIS_URL, or another HITWALL_DATA.")
        return file.read_text().strip()


def variable(row: Any) -> str:
    """The environment variable of a field of Settings."""
    return str(row.metadata["name"] or PREFIX + row.name.upper())


def _value(name: str, row: Any, environ: Mapping[str, str]) -> Any:
    text = environ.get(name) or row.metadata["default"]
    try:
        return row.metadata["cast"](text)
    except ValueError as wrong:
        shown = re.sub("//.*@", "//…@", text)  # no password in a log, whatever it holds
        raise BadSetting(f"{name}={shown} cannot be used: {name} {wrong}.") from None
