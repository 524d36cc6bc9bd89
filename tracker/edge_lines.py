"""Lines that nginx wrote of the pixels it answered: the hits that the door would have made of them."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache

import msgspec

from tracker import fields
from tracker.entries import encode_lines
from tracker.headers import BROWSERS, HEAD_BYTES, SHORT, Browser, environ_name
from tracker.hit import BadHit, Hit
from tracker.log_lines import MAX_LINE
from tracker.pixel import PixelReader

BEGIN = b'{"at":'  # of a line; nginx escapes the quotes of what a visitor sends, so it stands nowhere else
ANSWERED = ("200", "204")  # statuses with which a hit was taken
TOO_FAST = "429"  # of limit_req, where limit_req_status names it
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SLICE = 128  # lines made hits at once: 3,000 leave the processor's cache, and each takes half as long again
MOST_QUERY = 8_169  # bytes, with which a request line has as many as the door lets in
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # which no header may hold; nginx lets them through


Hits = list[tuple[int, Hit]]


class Line(msgspec.Struct, gc=False):
    """A request, as docker/nginx.conf writes it down. Its bytes are Latin-1, as WSGI has them."""

    at: float  # seconds since 1970, when it was answered
    status: str
    query: str
    remote: str
    forwarded: str = ""
    agent: str = ""
    language: str = ""
    cookie: str = ""
    headers: msgspec.Raw = msgspec.Raw(b"{}")  # name -> text, empty where the request had none


@dataclass
class Taken:
    """The hits of a site, as encode_lines has them, and the numbers of their lines, in order."""

    first: datetime  # when the first was sent
    numbers: list[int] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)  # of some hits each

    def after(self, number: int) -> bytes:
        """The hits of lines behind the one with this number."""
        whole = b"".join(self.texts)
        if number < self.numbers[0]:
            return whole
        hits = zip(self.numbers, whole.splitlines(keepends=True), strict=True)
        return b"".join(hit for line, hit in hits if line > number)


@dataclass
class Lot:
    """What became of some lines."""

    hits: dict[str, Taken] = field(default_factory=dict)  # by site
    refused: dict[date, Counter[str]] = field(default_factory=dict)  # by reason, which are few

    def take(self, site: str, hits: Hits) -> None:
        """Hits of a site, each with the number of its line."""
        numbers, found = zip(*hits, strict=True)
        taken = self.hits.setdefault(site, Taken(found[0].at))
        taken.numbers += numbers
        taken.texts.append(encode_lines(found))

    def refuse(self, reason: str, at: datetime) -> None:
        self.refused.setdefault(at.date(), Counter())[reason] += 1


_decoder = msgspec.json.Decoder(Line)
_texts = msgspec.json.Decoder(dict[str, str]).decode


class EdgeReader:
    """Reads lines as the door reads requests: the same reader, the same sites, the same reasons.

    `admitted` gives the hit that is stored, or raises BadHit.
    """

    def __init__(self, reader: PixelReader, admitted: Callable[[Hit], Hit]) -> None:
        self._reader = reader
        self._admitted = admitted
        self._browser = lru_cache(maxsize=BROWSERS)(self._read_browser)

    def read(self, lines: Sequence[bytes], first: int, now: datetime) -> Lot:
        """The hits of these lines, the first of which has that number. Raises RedisError."""
        lot = Lot()
        for at in range(0, len(lines), SLICE):
            self._take_all(lot, lines[at : at + SLICE], first + at, now)
        return lot

    def _take_all(self, lot: Lot, lines: Sequence[bytes], first: int, now: datetime) -> None:
        try:
            decoded = _decoder.decode_lines(_as_text(b"\n".join(lines)))
        except msgspec.MsgspecError:
            decoded = []
        if len(decoded) == len(lines):
            sizes = map(len, lines)
            found = [self._taken(lot, line, size, now) for line, size in zip(decoded, sizes, strict=True)]
        else:
            found = [self._any_taken(lot, text, now) for text in lines]
        hits: dict[str, Hits] = {}
        for number, hit in enumerate(found, first):
            if hit is not None:
                hits.setdefault(hit.site, []).append((number, hit))
        for site in hits:
            lot.take(site, hits[site])

    def _taken(self, lot: Lot, line: Line, size: int, now: datetime) -> Hit | None:
        at = now
        try:
            at = moment(line.at, now)
            if line.status in ANSWERED:
                return self._admitted(self._hit(line, size, at))
            if line.status == TOO_FAST:
                lot.refuse("too fast", at)
        except BadHit as bad:
            lot.refuse(bad.reason, at)
        return None

    def _hit(self, line: Line, size: int, at: datetime) -> Hit:
        """Raises BadHit, also for what the door's web server refuses; a body never comes this way."""
        reader = self._reader
        if size > SHORT or not reader.browsers.are_alike:
            return reader.read(_environ(line, size), at)
        browser = self._browser(line.agent, line.language, bytes(line.headers))
        cookie, forwarded = line.cookie, line.forwarded
        _check(cookie + forwarded if cookie else forwarded)
        return reader.hit(line.query, browser, reader.address(line.remote, forwarded), cookie, at)

    def _read_browser(self, agent: str, language: str, headers: bytes) -> Browser:
        return self._reader.browsers.read(_headers(agent, language, headers))

    def _any_taken(self, lot: Lot, text: bytes, now: datetime) -> Hit | None:
        """A nginx that was killed while it wrote left half a line, which goes on with the next one."""
        try:
            return self._taken(lot, _decoder.decode(_as_text(text)), len(text), now)
        except msgspec.MsgspecError:
            if text.strip():
                lot.refuse("too long" if len(text) > MAX_LINE else "bad log line", now)
            whole = text.rfind(BEGIN, 1)
            return self._any_taken(lot, text[whole:], now) if whole > 0 else None


@lru_cache(maxsize=64)  # of the lines of a thousandth of a second
def moment(seconds: float, now: datetime) -> datetime:
    """That many seconds since 1970, aware UTC. Raises BadHit where it is not yet."""
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadHit("bad date", "no calendar has it") from None
    if not EPOCH <= at <= now + fields.AHEAD:
        raise BadHit("bad date", "it lies before 1970 or in the future")
    return at


def _as_text(text: bytes) -> bytes:
    """Each byte a character: WSGI hands bytes over as Latin-1, whatever a visitor meant by them."""
    return text if text.isascii() else text.decode("latin-1").encode()


def _environ(line: Line, size: int) -> dict[str, str | int]:
    """What the door would see. Raises BadHit for what its web server refuses."""
    found = _headers(line.agent, line.language, bytes(line.headers))
    _check(line.cookie + line.forwarded)
    if len(line.query) > MOST_QUERY:
        raise BadHit("url too long", "a request line holds at most 8 kB", 414)
    told = {"HTTP_X_FORWARDED_FOR": line.forwarded, "HTTP_COOKIE": line.cookie}
    request = {"REQUEST_METHOD": "GET", "QUERY_STRING": line.query, "REMOTE_ADDR": line.remote}
    return {**found, **told, **request, HEAD_BYTES: size}  # no header is longer than the line


def _headers(agent: str, language: str, raw: bytes) -> dict[str, str]:
    """Those that a browser sends with each request alike, as WSGI names them. Raises BadHit."""
    try:
        told = _texts(raw)
    except msgspec.MsgspecError:
        raise BadHit("bad log line", "its headers are no texts") from None
    found = {"HTTP_USER_AGENT": agent, "HTTP_ACCEPT_LANGUAGE": language}
    found |= {environ_name(name): text for name, text in told.items() if text}
    _check("".join(found.values()))
    return found


def _check(text: str) -> None:
    if not text.isprintable() and CONTROLS.search(text):
        raise BadHit("malformed request", "a header holds a control character")
