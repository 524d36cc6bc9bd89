"""What a pixel request says: a WSGI environ becomes a Hit or a BadHit. Pure but for the visitor's salt."""

import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import unquote_to_bytes

import msgspec

from tracker import fields, remote
from tracker.addresses import Addresses
from tracker.headers import Environ, KeptHeaders, asks_not, header
from tracker.hit import CONTROL, BadHit, Hit, Page, parse_page
from tracker.settings import Settings
from tracker.visitors import Visitors

MAX_BODY = 16_384  # bytes of a POST; the script's own are below 9 kB
MAX_HEADER = 8_192  # characters of one request header
MAX_FIELDS = 50  # parameters of one request
BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class PixelReader:
    """Turns requests for the pixel into hits, as the settings say."""

    def __init__(self, settings: Settings, visitors: Visitors) -> None:
        self._hops = settings.trusted_proxies
        self._visitors = visitors
        self._addresses = Addresses(settings, visitors.hashed_address)
        self._kept = KeptHeaders(settings.headers)
        self._hosts = {_hostname(site) for site in settings.sites}

    def read(self, environ: Environ, now: datetime) -> Hit:
        """The hit of this request at that time. Raises BadHit."""
        _check_headers(environ)
        sent = parse_form(_sent(environ))
        page = self._page(sent)
        private = asks_not(environ)
        hit = Hit(
            at=now,
            site=page.site,
            path=page.path,
            source="pixel",
            query=page.query,
            title=fields.title(sent.get("t", "")),
            referrer=fields.text(_plain(sent, "ref"), "referrer"),
            remote=self._address(environ),
            visitor="" if private else self._named(sent, environ),
            agent=fields.text(header(environ, "HTTP_USER_AGENT"), "agent"),
            language=fields.text(header(environ, "HTTP_ACCEPT_LANGUAGE"), "language"),
            event=fields.text(_plain(sent, "e"), "event"),
            bytes=_number(sent, "b"),
            width=_number(sent, "w"),
            headers=self._kept.of(environ),
            params=fields.params(page.query),
        )
        if self._visitors.mode == "hash" and not private:
            hit = msgspec.structs.replace(hit, visitor=self._visitors.hashed(hit))
        return self._addresses.kept(hit, private)

    def _page(self, sent: Mapping[str, str]) -> Page:
        """Where sites are named a page of another host is none of theirs, whatever `s` claims."""
        if not sent.get("url"):
            raise BadHit("no url", "add url= and the address of the page, percent-encoded")
        page = parse_page(sent["url"], sent.get("s", ""))
        if self._hosts and page.host:
            parts = _hostname(page.host).split(".")
            if not any(".".join(parts[n:]) in self._hosts for n in range(len(parts))):
                raise BadHit("unknown site", "HITWALL_SITES names no site that this page is of", 403)
        return page

    def _address(self, environ: Environ) -> str:
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        return remote.client(environ.get("REMOTE_ADDR", ""), forwarded, self._hops)

    def _named(self, sent: Mapping[str, str], environ: Environ) -> str:
        return self._visitors.named(sent.get("v", ""), environ.get("HTTP_COOKIE", ""))


def parse_form(raw: bytes) -> dict[str, str]:
    """`a=1&b=2` as text; of a repeated name the first counts. Raises BadHit.

    Strict where the standard parser guesses: what is no valid escape or no UTF-8 is refused,
    for no encoder writes it. Source: https://url.spec.whatwg.org/#urlencoded-parsing
    """
    if BROKEN_ESCAPE.search(raw):
        raise BadHit("broken percent escape", "% must be followed by two hexadecimal digits")
    pairs = raw.split(b"&", MAX_FIELDS)
    if len(pairs) > MAX_FIELDS:
        raise BadHit("too many parameters", f"at most {MAX_FIELDS}")
    found: dict[str, str] = {}
    try:
        for pair in pairs:
            name, _, value = pair.partition(b"=")
            found.setdefault(name.decode(), _unescape(value))
    except UnicodeDecodeError:
        raise BadHit("not UTF-8", "parameters are UTF-8, percent-encoded") from None
    return found


def _hostname(host: str) -> str:
    """Without its port and its final dot."""
    return re.sub(r":[0-9]*$", "", host).rstrip(".").removeprefix("www.")


def _unescape(value: bytes) -> str:
    text = unquote_to_bytes(value.replace(b"+", b" ")).decode()
    if "\0" in text:
        raise BadHit("control character", "a parameter holds a NUL byte")
    return text


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
    for name, value in environ.items():
        if name.startswith("HTTP_") and len(value) > MAX_HEADER:
            raise BadHit("header too large", f"at most {MAX_HEADER} bytes a header", 431)


def _plain(sent: Mapping[str, str], name: str) -> str:
    value = sent.get(name, "")
    if CONTROL.search(value):
        raise BadHit("control character", "no parameter but the title may hold one")
    return value


def _number(sent: Mapping[str, str], name: str) -> int:
    value = sent.get(name) or "0"
    if not (value.isascii() and value.isdigit() and len(value) < 14 and int(value) <= fields.MAX_NUMBER):
        raise BadHit("bad number", "b and w take whole numbers of bytes and pixels")
    return int(value)
