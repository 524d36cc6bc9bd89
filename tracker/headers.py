"""What request headers tell, and which of them a hit keeps. Pure."""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec

from tracker import fields

Environ = Mapping[str, Any]  # of WSGI
HEAD_BYTES = "hitwall.head_bytes"  # there: how long the request's head is, where the server tells

MOST = 100  # headers that are kept of those that no setting names
NAME = 128  # characters of their names
BROWSERS = 2048  # of which is remembered what their headers say, few as there are different ones,
SHORT = 2048  # bytes of a head for which it is: 30 MB at most
CACHED = 4096  # languages and referrers whose answers are remembered
HOST = re.compile(r"https?://(?:[^/?#@]*@)?(\[[0-9a-f:.]+\]|[\w.-]+)(?:[:/?#]|$)", re.I)
TAG = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
NEVER_KEPT = frozenset({"HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION"})
ADDRESSES = frozenset(  # what proxies write the visitor's whole address into
    {
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_REAL_IP",
        "HTTP_FORWARDED",
        "HTTP_TRUE_CLIENT_IP",
        "HTTP_CF_CONNECTING_IP",
        "HTTP_CF_CONNECTING_IPV6",
        "HTTP_CF_PSEUDO_IPV4",
        "HTTP_CLIENT_IP",
        "HTTP_CLOUDFRONT_VIEWER_ADDRESS",
        "HTTP_DO_CONNECTING_IP",
        "HTTP_FASTLY_CLIENT_IP",
        "HTTP_FLY_CLIENT_IP",
        "HTTP_FORWARDED_FOR",
        "HTTP_INCAP_CLIENT_IP",
        "HTTP_PROXY_CLIENT_IP",
        "HTTP_REMOTE_ADDR",
        "HTTP_TRUE_REAL_IP",
        "HTTP_WL_PROXY_CLIENT_IP",
        "HTTP_X_APPENGINE_USER_IP",
        "HTTP_X_AZURE_CLIENTIP",
        "HTTP_X_AZURE_SOCKETIP",
        "HTTP_X_CLIENT_IP",
        "HTTP_X_CLUSTER_CLIENT_IP",
        "HTTP_X_ENVOY_EXTERNAL_ADDRESS",
        "HTTP_X_FORWARDED",
        "HTTP_X_NF_CLIENT_CONNECTION_IP",
        "HTTP_X_ORIGINAL_FORWARDED_FOR",
        "HTTP_X_ORIGINATING_IP",
        "HTTP_X_PROXYUSER_IP",
        "HTTP_X_REMOTE_ADDR",
        "HTTP_X_REMOTE_IP",
        "HTTP_X_VERCEL_FORWARDED_FOR",
    }
)


class KeptHeaders:
    """The headers that HITWALL_HEADERS names, `*` for all but cookies and credentials."""

    def __init__(self, names: tuple[str, ...]) -> None:
        named = {environ_name(name): name for name in names if name != "*"}
        self.named = {key: name for key, name in named.items() if key not in NEVER_KEPT}
        self._all = "*" in names

    def of(self, environ: Environ) -> dict[str, str]:
        """Name -> text, as the setting spells the name."""
        named = self.named
        if self._all:
            found = (key for key in environ if key.startswith("HTTP_") and len(key) <= NAME)
            named = {
                key: key[5:].replace("_", "-").title() for key in islice(found, MOST) if key not in NEVER_KEPT
            } | named
        return {
            name: fields.text(header(environ, key), "header")
            for key, name in named.items()
            if environ.get(key)  # an empty one says nothing
        }


class Browser(msgspec.Struct, frozen=True, gc=False):
    """What a browser tells with each of its requests alike."""

    agent: str
    language: str
    headers: dict[str, str]  # that are kept
    private: bool  # whether the visitor asks not to be tracked


class Browsers:
    """What the headers of requests say, of which a hit keeps those that HITWALL_HEADERS names."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._kept = KeptHeaders(names)
        told = ("HTTP_USER_AGENT", "HTTP_ACCEPT_LANGUAGE", "HTTP_DNT", "HTTP_SEC_GPC")
        self._keys = tuple(dict.fromkeys([*told, *self._kept.named]))
        # Not where they tell of one request, or of one visitor.
        self.are_alike = "*" not in names and not ADDRESSES.intersection(self._keys)
        self._known = lru_cache(maxsize=BROWSERS)(self._told)

    def of(self, environ: Environ) -> Browser:
        """The one that has sent this request."""
        if self.are_alike and environ.get(HEAD_BYTES, SHORT + 1) <= SHORT:
            return self._known(*map(environ.get, self._keys))
        return self.read(environ)

    def read(self, environ: Environ) -> Browser:
        """The same, not remembered."""
        return Browser(
            fields.text(header(environ, "HTTP_USER_AGENT"), "agent"),
            fields.text(header(environ, "HTTP_ACCEPT_LANGUAGE"), "language"),
            self._kept.of(environ),
            asks_not(environ),
        )

    def _told(self, *values: str | None) -> Browser:
        return self.read({key: value for key, value in zip(self._keys, values, strict=True) if value})


def environ_name(name: str) -> str:
    """The header's name as WSGI spells it."""
    return "HTTP_" + name.upper().replace("-", "_")


def header(environ: Environ, key: str) -> str:
    """A header as text: WSGI hands bytes over as Latin-1, browsers mean UTF-8 where not ASCII."""
    value: str = environ.get(key, "")
    if not value.isascii():
        value = value.encode("latin-1", "replace").decode("utf-8", "replace")
    return value


def asks_not(environ: Environ) -> bool:
    """Whether the visitor asks not to be tracked."""
    return environ.get("HTTP_DNT") == "1" or environ.get("HTTP_SEC_GPC") == "1"


@lru_cache(maxsize=CACHED)
def language(accepted: str) -> str | None:
    """The language of an Accept-Language that is asked for first: `en-US`; None where it names none.

    Source: https://www.rfc-editor.org/rfc/rfc9110#name-accept-language and BCP 47's usual case.
    """
    tag = accepted.partition(",")[0].partition(";")[0].strip()
    if not TAG.fullmatch(tag):
        return None
    first, *rest = tag.split("-")
    return "-".join([first.lower(), *(_subtag(part) for part in rest)])


def _subtag(part: str) -> str:
    return {2: part.upper(), 4: part.title()}.get(len(part), part.lower())


@lru_cache(maxsize=CACHED)
def host(address: str) -> str | None:
    """The host of a web address in lower case, without `www.`; None where it has none."""
    found = HOST.match(address)
    return found[1].lower().rstrip(".").removeprefix("www.") or None if found else None


def referring(address: str, site: str) -> str | None:
    """The host of a referrer; None for the site's own pages."""
    found = host(address) if address else None
    return None if found == site.partition(":")[0] else found
