"""What a pixel request says: a WSGI environ becomes a Hit or a BadHit. Pure but for the visitor's salt.

Browsers, pages, titles and referrers repeat: what was made of them is remembered, in this process alone.
"""

import re
from datetime import datetime
from functools import lru_cache

from tracker import fields, remote
from tracker.addresses import Addresses
from tracker.form import LONG, parse_form
from tracker.headers import HEAD_BYTES, Browser, Browsers, Environ
from tracker.hit import CONTROL, BadHit, Hit, Page, parse_page
from tracker.settings import Settings
from tracker.visitors import Visitors

MAX_BODY = 16_384  # bytes of a POST; the script's own are below 9 kB
MAX_HEADER = 8_192  # characters of one request header
HOSTS = 1024  # hosts of pages of which is remembered whether they are of a site that counts; 16 MB at most
REMEMBERED = 4096  # pages, as many titles and referrers, of requests below form.LONG: 60 MB at most, often 6

Place = tuple[Page, dict[str, str]]  # a page, and the parameters of its query


class PixelReader:
    """Turns requests for the pixel into hits, as the settings say."""

    def __init__(self, settings: Settings, visitors: Visitors) -> None:
        self._hops = settings.trusted_proxies
        self._visitors = visitors
        self._addresses = Addresses(settings, visitors.hashed_address)
        self.browsers = Browsers(settings.headers)
        self._hosts = {_hostname(site) for site in settings.sites}
        self._is_ours = lru_cache(maxsize=HOSTS)(self._counts)
        self._known = lru_cache(maxsize=REMEMBERED)(self._place), _known_title, _known_line
        self._afresh = self._place, fields.title, _line

    def read(self, environ: Environ, now: datetime) -> Hit:
        """The hit of this request at that time. Raises BadHit."""
        _check_headers(environ)
        address = self.address(environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", ""))
        cookie = environ.get("HTTP_COOKIE", "")
        return self.hit(_sent(environ), self.browsers.of(environ), address, cookie, now)

    def hit(self, query: str, browser: Browser, address: str, cookie: str, now: datetime) -> Hit:
        """The hit of these parameters, whose characters are bytes as WSGI has them. Raises BadHit."""
        sent = parse_form(query)
        place, title, line = self._known if len(query) <= LONG else self._afresh
        page, params = place(sent.url, sent.s)
        person = address, browser.agent, page.site
        hit = Hit(
            at=now,
            site=page.site,
            path=page.path,
            source="pixel",
            query=page.query,
            title=title(sent.t),
            referrer=sent.ref and line(sent.ref, "referrer"),
            remote=address,
            visitor="" if browser.private else self._visitor(sent.v, cookie, person, now),
            agent=browser.agent,
            language=browser.language,
            event=sent.e and line(sent.e, "event"),
            bytes=_number(sent.b),
            width=_number(sent.w),
            headers=browser.headers,
            params=params,
        )
        return self._addresses.kept(hit, browser.private)

    def address(self, peer: str, forwarded: str) -> str:
        """Who has sent a request that came from `peer`."""
        return remote.client(peer, forwarded, self._hops)

    def _place(self, url: str, site: str) -> Place:
        """Where sites are named a page of another host is none of theirs, whatever `s` claims."""
        if not url:
            raise BadHit("no url", "add url= and the address of the page, percent-encoded")
        page = parse_page(url, site)
        if self._hosts and page.host and not self._is_ours(page.host):
            raise BadHit("unknown site", "HITWALL_SITES names no site that this page is of", 403)
        return page, fields.params(page.query)

    def _counts(self, host: str) -> bool:
        parts = _hostname(host).split(".")
        return any(".".join(parts[n:]) in self._hosts for n in range(len(parts)))

    def _visitor(self, given: str, cookie: str, person: tuple[str, str, str], now: datetime) -> str:
        if self._visitors.mode == "hash":
            return self._visitors.hash_of(*person, now)
        return self._visitors.named(given, cookie)


def _hostname(host: str) -> str:
    """Without its port and its final dot."""
    return re.sub(r":[0-9]*$", "", host).rstrip(".").removeprefix("www.")


def _sent(environ: Environ) -> str:
    """The parameters: of the query and, when posted, of the body."""
    query: str = environ.get("QUERY_STRING", "")
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
        body: str = environ["wsgi.input"].read(int(length)).decode("latin-1") if int(length) else ""
    except OSError:  # the visitor has gone
        raise BadHit("incomplete body", "fewer bytes came than Content-Length says") from None
    return "&".join(part for part in (query, body) if part)


def _check_headers(environ: Environ) -> None:
    if environ.get(HEAD_BYTES, MAX_HEADER + 1) <= MAX_HEADER:
        return
    for name, value in environ.items():
        if name.startswith("HTTP_") and len(value) > MAX_HEADER:
            raise BadHit("header too large", f"at most {MAX_HEADER} bytes a header", 431)


def _line(value: str, kind: str) -> str:
    if CONTROL.search(value):
        raise BadHit("control character", "no parameter but the title may hold one")
    return fields.text(value, kind)


def _number(value: str) -> int:
    if not value:
        return 0
    if (
        len(value) < 14
        and value.isascii()
        and value.isdigit()
        and (number := int(value)) <= fields.MAX_NUMBER
    ):
        return number
    raise BadHit("bad number", "b and w take whole numbers of bytes and pixels")


_known_title, _known_line = (lru_cache(maxsize=REMEMBERED)(each) for each in (fields.title, _line))
