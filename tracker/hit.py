"""Hit, the one noun at the border: what a door lets in. No Redis, no Flask."""

import re
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any

import msgspec

MAX_URL = 4096  # characters; browsers and proxies agree on no more than 8 kB for a whole request line
MAX_PARAMS = 50  # query parameters of a page that are kept; more are dropped
CANARY = "canary.hitwall.invalid"  # a site that counts nowhere, see tracker/canary.py. "invalid" is nobody's
SITE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?")
URL = re.compile(r"(?P<scheme>https?)://(?:[^/?#@]*@)?(?P<host>[^/?#@]+)(?P<rest>[/?#].*)?", re.I | re.S)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
DEFAULT_PORT = {"http": ":80", "https": ":443"}
ROUTES = ("/", "!")  # how a fragment begins that is part of the page
REMEMBERED = 4096  # hosts, and beginnings of addresses, whose site is remembered,
LONG_HOST = 300  # of so many characters at most; no longer one is a host's


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


class Page(msgspec.Struct, frozen=True, gc=False):
    """Where a hit happened: the host without `www.`, the path with a hash route, the query."""

    site: str
    path: str
    query: str
    host: str = ""  # of the address; the site that counts may be another


@lru_cache(maxsize=REMEMBERED)
def site_name(host: str) -> str:
    """The name under which a host is counted: lower case, no `www.`, no final dot.

    Raises BadHit where that is no host name; site names are the only outside text in a key.
    """
    site = host.lower().rstrip(".").removeprefix("www.")
    if len(host) > LONG_HOST or not SITE.fullmatch(site):
        raise BadHit("bad site", "a site is a host name like example.com or localhost:8000")
    return site


def parse_page(url: str, site: str = "") -> Page:
    """The page of an http(s) address, or of a bare path when the site is given.

    Source: https://url.spec.whatwg.org/#url-parsing, as much of it as `location.href` can hold.
    """
    if len(url) > MAX_URL:
        raise BadHit("url too long", f"at most {MAX_URL} characters", 414)
    if not url.isprintable() and CONTROL.search(url):
        raise BadHit("control character", "url holds a byte that no address may hold")
    if site and url.startswith("/"):
        return _split(site_name(site), url)
    end = url.find("/", len("https://"))
    own, host = _origin(url[:end]) if 0 < end <= LONG_HOST else ("", "")
    if own:
        return _split(site_name(site) if site else own, url[end:], host)
    return careful_page(url, site)


def careful_page(url: str, site: str) -> Page:
    """The page of a whole address, step by step. Raises BadHit."""
    found = URL.fullmatch(url)
    if not found:
        raise BadHit("not a web page", "url must start with http:// or https://")
    host = _host(found)
    return _split(site_name(site or host), found["rest"] or "", host)


@lru_cache(maxsize=REMEMBERED)
def _origin(text: str) -> tuple[str, str]:
    """Site and host of `https://www.example.com`; both empty where there is more to be said of it."""
    found = URL.fullmatch(text)
    if not found or found["rest"]:
        return "", ""
    host = _host(found)
    try:
        return site_name(host), host
    except BadHit:
        return "", ""


def _host(address: re.Match[str]) -> str:
    return address["host"].lower().removesuffix(DEFAULT_PORT[address["scheme"].lower()])


def _split(site: str, rest: str, host: str = "") -> Page:
    """A fragment is part of the page only where it is a route: `#/settings` or `#!settings`."""
    address, _, fragment = rest.partition("#")
    path, _, query = address.partition("?")
    path = path or "/"
    return Page(site, f"{path}#{fragment}" if fragment[:1] in ROUTES else path, query, host)


def cut(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, ending at a character's boundary."""
    if len(text) * 4 <= size or (len(text) <= size and text.isascii()) or len(text.encode()) <= size:
        return text
    return text.encode()[:size].decode(errors="ignore")
