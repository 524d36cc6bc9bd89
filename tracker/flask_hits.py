"""What a request to a Flask application counts as: a Hit, or a BadHit."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from time import perf_counter
from typing import Any
from urllib.parse import quote

from flask import Request, g
from msgspec import structs
from werkzeug.exceptions import SecurityError

from tracker import fields, geoip, remote, scalars
from tracker.addresses import Addresses
from tracker.flask_visitors import username
from tracker.headers import Environ, KeptHeaders, asks_not, environ_name, header
from tracker.hit import DEFAULT_PORT, MAX_URL, BadHit, Hit, site_name
from tracker.settings import Settings

SITES = 256  # hosts whose names are remembered
MAX_BYTES = 2**40  # of one response; thousands of such stay below the 2^53 that Lua adds exactly
LONGEST = 264  # characters of a host with its port
NAME = 128  # characters of a name
TOKEN = re.compile(r"[!-~]{1,32}")  # a method, or a protocol's name
ASKS_NOT = ("DNT", "Sec-GPC")

# What location.pathname and location.search show as it is; all else is escaped.
# Source: https://url.spec.whatwg.org/#path-percent-encode-set
IN_PATH = "/:@!$&'()*+,;=~[]|-._"
IN_QUERY = "!$%&'()*+,-./:;=?@[\\]^_`{|}~"
PLAIN_PATH = re.compile(r"[\w/:@!$&'()*+,;=~\[\]|.-]*", re.ASCII)
PLAIN_QUERY = re.compile(r"[!$-;=?-~]*", re.ASCII)  # no blank " # < > and no control character
HALF = re.compile(r"%.?\Z")  # of an escape, where a path was cut


class Visit:
    """A request that is being answered; it counts once."""

    __slots__ = ("at", "clock", "kept", "seconds", "taken", "visitor")

    def __init__(self) -> None:
        self.at = datetime.now(UTC)
        self.clock = perf_counter()
        self.seconds = 0.0  # until the response was ready
        self.visitor = ""
        self.taken = False
        self.kept: Hit | None = None  # what it counts as where request_finished does not come

    def ready(self) -> None:
        """The response is ready to be sent."""
        self.seconds = round(perf_counter() - self.clock, 6)


class FlaskReader:
    """Turns requests to one application into hits, as the settings say.

    `hashed` is whether every storage hashes addresses itself where HITWALL_IP is hash: a request must not
    wait for the salt, which is in Redis. Else none is kept.
    """

    def __init__(self, app: str, site: str, settings: Settings, hashed: bool = False) -> None:
        self._app = scalars.line(app, NAME)
        self._site = site  # empty: the host of each request
        self._hops = settings.trusted_proxies
        self._kept = KeptHeaders((*settings.headers, "X-Forwarded-For"))
        self._record = geoip.records(settings.geoip) if settings.geoip else None
        self._addresses = Addresses(settings)
        self._leaves = hashed and settings.ip == "hash"

    def read(self, request: Request, visit: Visit, status: int, size: int) -> Hit:
        """The hit of the request that is being answered; `size` is the number of bytes of its body.

        Raises BadHit where the request names no site to count for.
        """
        environ = request.environ
        endpoint = scalars.line(request.endpoint or "", NAME)
        hit = Hit(
            at=visit.at,
            source="flask",
            status=status,
            bytes=min(size, MAX_BYTES),
            seconds=visit.seconds,
            visitor=visit.visitor,
            app=self._app,
            endpoint=endpoint,
            blueprint=endpoint.rpartition(".")[0],
            view_args=scalars.flat(request.view_args),
            track_var=scalars.flat(g.get("track_var")),
            username=username(request, g.get("_login_user")),
            authorization=bool(environ.get("HTTP_AUTHORIZATION")),
            remote=self._client(environ),
            headers=self._headers(environ),
            **self._place(request),
            **sent(environ),
        )
        return self._located(hit if self._leaves else self._addresses.kept(hit, asks_not(environ)))

    def _located(self, hit: Hit) -> Hit:
        """With what is known of where the address is that the hit keeps."""
        if self._record is None or hit.ip_info:
            return hit
        return structs.replace(hit, ip_info=geoip.flat(self._record(hit.remote)))

    def _place(self, request: Request) -> dict[str, Any]:
        environ = request.environ
        host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
        site, origin = place(environ.get("wsgi.url_scheme", ""), host) if len(host) <= LONGEST else ("", "")
        if not (self._site or site):
            raise BadHit("bad host", "set TRACK_USAGE_SITE to the name under which all is counted")
        if not self._site and request.trusted_hosts:
            _check_host(request)
        return {"site": self._site or site, "origin": origin}

    def _client(self, environ: Environ) -> str:
        """The visitor's address."""
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        return remote.client(environ.get("REMOTE_ADDR") or "", forwarded, self._hops)

    def _headers(self, environ: Environ) -> dict[str, str]:
        """The headers of the settings, the addresses of proxies, and always the wish not to be tracked."""
        kept = self._kept.of(environ)
        if asks_not(environ):
            there = set(map(environ_name, kept))
            wishes = {environ_name(name): name for name in ASKS_NOT}
            kept.update({wishes[key]: "1" for key in wishes.keys() - there if environ.get(key) == "1"})
        return kept


def _check_host(request: Request) -> None:
    """Raises BadHit where the application has TRUSTED_HOSTS, and this is none of them."""
    try:
        _ = request.host
    except SecurityError:
        raise BadHit("untrusted host", "it is none of TRUSTED_HOSTS") from None


def sent(environ: Environ) -> dict[str, Any]:
    """What every request says of itself: where it goes, and what the browser is."""
    path, query = address(environ)
    return {
        "path": path,
        "query": query,
        "params": fields.params(query),
        "method": _token(environ["REQUEST_METHOD"]),
        "protocol": _token(environ.get("SERVER_PROTOCOL", "")),
        "referrer": fields.text(header(environ, "HTTP_REFERER"), "referrer"),
        "agent": fields.text(header(environ, "HTTP_USER_AGENT"), "agent"),
        "language": fields.text(header(environ, "HTTP_ACCEPT_LANGUAGE"), "language"),
    }


@lru_cache(maxsize=SITES)
def place(scheme: str, host: str) -> tuple[str, str]:
    """Site and origin of a host; both empty where that is no host name."""
    scheme = scheme if scheme in DEFAULT_PORT else "http"  # a proxy's header may say anything
    host = host.lower().removesuffix(DEFAULT_PORT[scheme])
    try:
        origin = f"{scheme}://{host}"
        return site_name(host), origin if len(origin) <= NAME else ""
    except BadHit:
        return "", ""


def address(environ: Environ) -> tuple[str, str]:
    """Path and query as the browser's location has them; together they are no longer than MAX_URL."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING", "")
    if not PLAIN_PATH.fullmatch(path):
        path = quote(path.encode("latin-1", "replace"), IN_PATH)
    if not PLAIN_QUERY.fullmatch(query):
        query = quote(query.encode("latin-1", "replace"), IN_QUERY)
    if not path.startswith("/"):
        path = "/" + path
    if len(path) + len(query) >= MAX_URL:
        path = HALF.sub("", path[:MAX_URL])
        query = HALF.sub("", query[: max(0, MAX_URL - len(path) - 1)])
    return path, query


def _token(text: str) -> str:
    return text if TOKEN.fullmatch(text) else ""
