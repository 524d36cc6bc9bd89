"""Hit, the one noun at the border: what a door lets in. No Redis, no Flask."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import msgspec

MAX_URL = 4096  # characters; browsers and proxies agree on no more than 8 kB for a whole request line
MAX_PARAMS = 50  # query parameters of a page that are kept; more are dropped
CANARY = "canary.hitwall.invalid"  # a site that counts nowhere, see tracker/canary.py. "invalid" is nobody's
SITE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?")
URL = re.compile(r"(?P<scheme>https?)://(?:[^/?#@]*@)?(?P<host>[^/?#@]+)(?P<rest>[/?#].*)?", re.I | re.S)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
DEFAULT_PORT = {"http": ":80", "https": ":443"}


class BadHit(ValueError):
    """What came in is no hit. `reason` is one of few fixed words, the message tells a stranger why."""

    after = 0  # seconds after which the same may be sent again; 0: it will never be a hit

    def __init__(self, reason: str, advice: str, status: int = 400) -> None:
        super().__init__(f"{reason}: {advice}")
        self.reason = reason
        self.status = status


# No hit leads back to itself: spared the search for such circles (gc), counting takes a tenth less.
class Hit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One request for one page. Times are aware UTC; empty fields are not stored."""

    at: Annotated[datetime, msgspec.Meta(tz=True)]
    site: str
    path: str
    source: str  # the door it came through: pixel, flask, log, api
    query: str = ""
    title: str = ""
    referrer: str = ""  # the address of the page before, whole
    remote: str = ""  # IP address, the network it was cut to, or its hash of the day
    visitor: str = ""
    agent: str = ""  # User-Agent
    language: str = ""  # Accept-Language
    event: str = ""  # name of a custom event; empty for a page view
    status: int = 0  # HTTP status, where the door knows it
    bytes: int = 0  # transferred for the page
    width: int = 0  # of the screen, CSS pixels
    headers: dict[str, str] = {}
    params: dict[str, str] = {}
    method: str = ""
    origin: str = ""  # scheme, host and port as the request had them: https://www.example.com
    protocol: str = ""  # HTTP/1.1
    app: str = ""  # name of the application that answered
    endpoint: str = ""
    blueprint: str = ""
    view_args: dict[str, Any] = {}
    username: str = ""
    authorization: bool = False  # whether the request carried credentials
    ip_info: dict[str, str] = {}  # where the address is, as a file on the machine knows it
    seconds: float = 0.0  # the server took to answer
    track_var: dict[str, Any] = {}


@dataclass(frozen=True)
class Page:
    """Where a hit happened: the host without `www.`, the path with a hash route, the query."""

    site: str
    path: str
    query: str
    host: str = field(default="", compare=False)  # of the address; the site that counts may be another


def site_name(host: str) -> str:
    """The name under which a host is counted: lower case, no `www.`, no final dot.

    Raises BadHit where that is no host name; site names are the only outside text in a key.
    """
    site = host.lower().rstrip(".").removeprefix("www.")
    if not SITE.fullmatch(site):
        raise BadHit("bad site", "a site is a host name like example.com or localhost:8000")
    return site


def parse_page(url: str, site: str = "") -> Page:
    """The page of an http(s) address, or of a bare path when the site is given.

    Source: https://url.spec.whatwg.org/#url-parsing, as much of it as `location.href` can hold.
    """
    if len(url) > MAX_URL:
        raise BadHit("url too long", f"at most {MAX_URL} characters", 414)
    if CONTROL.search(url):
        raise BadHit("control character", "url holds a byte that no address may hold")
    found = URL.fullmatch(url)
    if found:
        scheme = found["scheme"].lower()
        host = found["host"].lower().removesuffix(DEFAULT_PORT[scheme])
        return _split(site_name(site or host), found["rest"] or "", host)
    if site and url.startswith("/"):
        return _split(site_name(site), url)
    raise BadHit("not a web page", "url must start with http:// or https://")


def _split(site: str, rest: str, host: str = "") -> Page:
    """A fragment is part of the page only where it is a route: `#/settings` or `#!settings`."""
    address, _, fragment = rest.partition("#")
    path, _, query = address.partition("?")
    route = f"#{fragment}" if fragment[:1] in ("/", "!") else ""
    return Page(site, (path or "/") + route, query, host)


def cut(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, ending at a character's boundary."""
    if len(text) * 4 <= size or len(text.encode()) <= size:
        return text
    return text.encode()[:size].decode(errors="ignore")
