"""What a pixel request says: a WSGI environ becomes a Hit or a BadHit. Pure but for the visitor's salt."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from tracker import fields, remote
from tracker.addresses import Addresses
from tracker.form import parse_form
from tracker.headers import HEAD_BYTES, Environ, KeptHeaders, asks_not, header
from tracker.hit import CONTROL, BadHit, Hit, Page, parse_page
from tracker.settings import Settings
from tracker.visitors import Visitors

MAX_BODY = 16_384  # bytes of a POST; the script's own are below 9 kB
MAX_HEADER = 8_192  # characters of one request header
HOSTS = 1024  # hosts of pages of which is remembered whether they are of a site that counts; 16 MB at most


class PixelReader:
    """Turns requests for the pixel into hits, as the settings say."""

    def __init__(self, settings: Settings, visitors: Visitors) -> None:
        self._hops = settings.trusted_proxies
        self._visitors = visitors
        self._addresses = Addresses(settings, visitors.hashed_address)
        self._kept = KeptHeaders(settings.headers)
        self._hosts = {_hostname(site) for site in settings.sites}
        self._is_ours = lru_cache(maxsize=HOSTS)(self._counts)

    def read(self, environ: Environ, now: datetime) -> Hit:
        """The hit of this request at that time. Raises BadHit."""
        _check_headers(environ)
        sent = parse_form(_sent(environ))
        page = self._page(sent)
        private = asks_not(environ)
        address, agent = self._address(environ), fields.text(header(environ, "HTTP_USER_AGENT"), "agent")
        hit = Hit(
            at=now,
            site=page.site,
            path=page.path,
            source="pixel",
            query=page.query,
            title=fields.title(sent.get("t", "")),
            referrer=_line(sent, "ref", "referrer"),
            remote=address,
            visitor="" if private else self._visitor(sent, environ, (address, agent, page.site), now),
            agent=agent,
            language=fields.text(header(environ, "HTTP_ACCEPT_LANGUAGE"), "language"),
            event=_line(sent, "e", "event"),
            bytes=_number(sent, "b"),
            width=_number(sent, "w"),
            headers=self._kept.of(environ),
            params=fields.params(page.query),
        )
        return self._addresses.kept(hit, private)

    def _page(self, sent: Mapping[str, str]) -> Page:
        """Where sites are named a page of another host is none of theirs, whatever `s` claims."""
        if not sent.get("url"):
            raise BadHit("no url", "add url= and the address of the page, percent-encoded")
        page = parse_page(sent["url"], sent.get("s", ""))
        if self._hosts and page.host and not self._is_ours(page.host):
            raise BadHit("unknown site", "HITWALL_SITES names no site that this page is of", 403)
        return page

    def _counts(self, host: str) -> bool:
        parts = _hostname(host).split(".")
        return any(".".join(parts[n:]) in self._hosts for n in range(len(parts)))

    def _address(self, environ: Environ) -> str:
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        return remote.client(environ.get("REMOTE_ADDR", ""), forwarded, self._hops)

    def _visitor(
        self, sent: Mapping[str, str], environ: Environ, person: tuple[str, str, str], now: datetime
    ) -> str:
        if self._visitors.mode == "hash":
            return self._visitors.hash_of(*person, now)
        return self._visitors.named(sent.get("v", ""), environ.get("HTTP_COOKIE", ""))


def _hostname(host: str) -> str:
    """Without its port and its final dot."""
    return re.sub(r":[0-9]*$", "", host).rstrip(".").removeprefix("www.")


def _sent(environ: Environ) -> bytes:
    """The parameters: of the query and, when posted, of the body."""
    query: bytes = environ.get("QUERY_STRING", "").encode("latin-1")
    if environ["REQUEST_METHOD"] != "POST":
        return query
    length = environ.get("CONTENT_LENGTH") or "0"
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise BadHit("no length", "a posted hit needs a Content-Length", 411)
    if not (length.isascii() and length.isdigit()):
        raise BadHit("bad length", "Content-Length takes a whole number")
    if int(length) > MAX_BODY:
        raise BadHit("body too large", f"at most {MAX_BODY} bytes", 413)
    try:
        body: bytes = environ["wsgi.input"].read(int(length)) if int(length) else b""
    except OSError:  # the visitor has gone
        raise BadHit("incomplete body", "fewer bytes came than Content-Length says") from None
    return b"&".join(part for part in (query, body) if part)


def _check_headers(environ: Environ) -> None:
    if environ.get(HEAD_BYTES, MAX_HEADER + 1) <= MAX_HEADER:
        return
    for name, value in environ.items():
        if name.startswith("HTTP_") and len(value) > MAX_HEADER:
            raise BadHit("header too large", f"at most {MAX_HEADER} bytes a header", 431)


def _line(sent: Mapping[str, str], name: str, kind: str) -> str:
    value = sent.get(name)
    if not value:
        return ""
    if CONTROL.search(value):
        raise BadHit("control character", "no parameter but the title may hold one")
    return fields.text(value, kind)


def _number(sent: Mapping[str, str], name: str) -> int:
    value = sent.get(name)
    if not value:
        return 0
    if (
        value.isdigit()
        and value.isascii()
        and len(value) < 14
        and (number := int(value)) <= fields.MAX_NUMBER
    ):
        return number
    raise BadHit("bad number", "b and w take whole numbers of bytes and pixels")
