"""Lines that nginx wrote of the pixels it answered: the hits that the door would have made of them."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

import msgspec

from tracker import fields
from tracker.headers import HEAD_BYTES, environ_name
from tracker.hit import BadHit, Hit
from tracker.log_lines import MAX_LINE
from tracker.pixel import PixelReader

BEGIN = b'{"at":'  # of a line; nginx escapes the quotes of what a visitor sends, so it stands nowhere else
ANSWERED = ("200", "204")  # statuses with which a hit was taken
TOO_FAST = "429"  # of limit_req, where limit_req_status names it
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COMBINATIONS = 4096  # of client hints and the like that are remembered: browsers send few different ones
MOST_QUERY = 8_169  # bytes, with which a request line has as many as the door lets in
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # which no header may hold; nginx lets them through
LONG = 1024  # bytes of such a combination; a longer one is not remembered


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
class Lot:
    """What became of some lines. The hits of a site come with the numbers of their lines, in order."""

    hits: dict[str, list[tuple[int, Hit]]] = field(default_factory=dict)
    refused: dict[date, Counter[str]] = field(default_factory=dict)  # by reason, which are few

    def refuse(self, reason: str, at: datetime) -> None:
        self.refused.setdefault(at.date(), Counter())[reason] += 1


_decoder = msgspec.json.Decoder(Line)
_texts = msgspec.json.Decoder(dict[str, str]).decode


class EdgeReader:
    """Reads lines as the door reads requests: the same reader, the same sites, the same reasons.

    `admitted` gives the hit that is stored, or raises BadHit.
    """

    def __init__(self, reader: PixelReader, admitted: Callable[[Hit], Hit]) -> None:
        self._read = reader.read
        self._admitted = admitted

    def read(self, lines: Sequence[bytes], first: int, now: datetime) -> Lot:
        """The hits of these lines, the first of which has that number. Raises RedisError."""
        lot = Lot()
        try:
            decoded = _decoder.decode_lines(_as_text(b"\n".join(lines)))
        except msgspec.MsgspecError:
            decoded = []
        if len(decoded) == len(lines):
            for number, line in enumerate(decoded, first):
                self._take(lot, number, line, len(lines[number - first]), now)
        else:
            for number, text in enumerate(lines, first):
                self._take_any(lot, number, text, now)
        return lot

    def _take(self, lot: Lot, number: int, line: Line, size: int, now: datetime) -> None:
        at = now
        try:
            at = moment(line.at, now)
            if line.status in ANSWERED:
                hit = self._admitted(self._read(_environ(line, size), at))
                lot.hits.setdefault(hit.site, []).append((number, hit))
            elif line.status == TOO_FAST:
                lot.refuse("too fast", at)
        except BadHit as bad:
            lot.refuse(bad.reason, at)

    def _take_any(self, lot: Lot, number: int, text: bytes, now: datetime) -> None:
        """A nginx that was killed while it wrote left half a line, which goes on with the next one."""
        try:
            self._take(lot, number, _decoder.decode(_as_text(text)), len(text), now)
        except msgspec.MsgspecError:
            if text.strip():
                lot.refuse("too long" if len(text) > MAX_LINE else "bad log line", now)
            whole = text.rfind(BEGIN, 1)
            if whole > 0:
                self._take_any(lot, number, text[whole:], now)


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


def _environ(line: Line, size: int) -> dict[str, Any]:
    """What the door would see. Raises BadHit for what its web server refuses; a body never comes this way."""
    raw = bytes(line.headers)
    _check(line.agent + line.language + line.cookie + line.forwarded)
    if len(line.query) > MOST_QUERY:
        raise BadHit("url too long", "a request line holds at most 8 kB", 414)
    found: dict[str, Any] = {
        **(_headers(raw) if len(raw) <= LONG else _headers.__wrapped__(raw)),
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": line.query,
        "REMOTE_ADDR": line.remote,
        "HTTP_X_FORWARDED_FOR": line.forwarded,
        HEAD_BYTES: size,  # no header is longer than the line
    }
    if line.agent:
        found["HTTP_USER_AGENT"] = line.agent
    if line.language:
        found["HTTP_ACCEPT_LANGUAGE"] = line.language
    if line.cookie:
        found["HTTP_COOKIE"] = line.cookie
    return found


@lru_cache(maxsize=COMBINATIONS)
def _headers(raw: bytes) -> dict[str, str]:
    found = _texts(raw)
    _check("".join(found.values()))
    return {environ_name(name): text for name, text in found.items() if text}


def _check(text: str) -> None:
    if not text.isprintable() and CONTROLS.search(text):
        raise BadHit("malformed request", "a header holds a control character")
