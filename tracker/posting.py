"""Posting: the API door. One hit, an array or lines of JSON become hits in the raw log, once a key."""

import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Annotated

import msgspec
from msgspec import Meta
from redis import Redis, RedisError

from tracker import keys
from tracker.bodies import pieces
from tracker.hit import BadHit, Hit, cut
from tracker.posted import PostedHit, PostedReader
from tracker.raw import Moved, RawLog
from tracker.refused import count_refused
from tracker.settings import Settings
from tracker.sites import Sites
from tracker.visitors import Visitors

MAX_BODY = 8 * 1024 * 1024  # bytes of a request
MAX_HITS = 10_000  # of one request
MAX_HIT = 65_536  # bytes of one hit's JSON
CHUNK = 250  # hits of one append; Redis serves nobody else meanwhile
BREATH = 100  # hits that are read before others of this process have their turn
SHORTEST = 1e-6  # seconds; after a sleep of 0 gevent looks at sockets only every 50th time
TOLD = 100  # refused hits that an answer names; the others are counted
DAY = 86_400  # seconds an Idempotency-Key is remembered
MOMENT = 60  # seconds a request without a key is remembered; Redis is asked again within two
Told = Callable[[int, Mapping[str, int]], None]
KEY = re.compile(r"[\x20-\x7e]{1,200}")

decode = msgspec.json.Decoder(PostedHit).decode


class Refused(msgspec.Struct, frozen=True):
    """A hit that was not stored."""

    line: Annotated[int, Meta(ge=1, description="Line, or place in the array, from 1")]
    reason: Annotated[str, Meta(description="One of few fixed words")]
    detail: Annotated[str, Meta(description="What is wrong, for people")]


class Posted(msgspec.Struct, frozen=True):
    """What became of the hits of one request."""

    stored: Annotated[int, Meta(ge=0, description="Hits that are in the raw log now")]
    refused: Annotated[list[Refused], Meta(max_length=TOLD, description="The first hits that are not")]
    refused_total: Annotated[int, Meta(ge=0, description="How many are not")]
    repeated: Annotated[
        bool, Meta(description="All were there already, under this Idempotency-Key; none was stored again")
    ]


@dataclass
class Parcel:
    """The hits of one request: by chunk and site those that are good, and what is wrong with the others."""

    chunks: list[dict[str, list[Hit]]] = field(default_factory=list)
    stored: int = 0
    refused: list[Refused] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def refuse(self, line: int, reason: str, detail: str) -> None:
        self.reasons[reason] += 1
        if len(self.refused) < TOLD:
            self.refused.append(Refused(line, reason, cut(detail, 512)))


def nobody(stored: int, reasons: Mapping[str, int]) -> None:
    """Wants to know nothing."""


class Posting:
    """The door for programs; `told` hears how many hits of a request were stored, and why others were not."""

    def __init__(self, settings: Settings, redis: Redis, sites: Sites, told: Told = nobody) -> None:
        self._told = told
        self._redis = redis
        self._raw = RawLog(redis, settings.replicas)
        self._sites = sites
        self._reader = PostedReader(settings, Visitors(settings.visitor, redis))

    def post_hits(self, body: bytes, content_type: str, key: str | None, now: datetime) -> Posted:
        """Store the good hits of a body; `key` is the Idempotency-Key, None where there is none.

        Raises BadHit with its HTTP status for what is wrong with the whole, and RedisError where the
        hits are not known to be stored: sent again with the same key they are stored once.
        """
        if len(body) > MAX_BODY:
            raise BadHit("body too large", f"at most {MAX_BODY} bytes", 413)
        if key is not None and not KEY.fullmatch(key):
            raise BadHit("bad Idempotency-Key", "it takes 1 to 200 printable ASCII characters")
        parcel = self._read(pieces(body, content_type), now)
        name = blake2b((key or secrets.token_hex()).encode(), digest_size=16).hexdigest()
        digest = blake2b(body, digest_size=16).hexdigest()
        if key is not None and parcel.stored:
            self._claim(name, digest)
        sender = Sender(self._raw, f"api-{name}", digest, DAY if key else MOMENT)
        repeated = sender.send(parcel.chunks) == 0 and parcel.stored > 0 and key is not None
        if not repeated:
            self._told(parcel.stored, parcel.reasons)
            self._count(parcel.reasons, now)
        return Posted(parcel.stored, parcel.refused, parcel.reasons.total(), repeated)

    def _claim(self, name: str, digest: str) -> None:
        """Keep the key for this body, whichever sites it is for. Raises BadHit where it is another's."""
        place = keys.posted(name)
        is_new = self._redis.set(place, digest, nx=True, ex=DAY)
        if not is_new and self._redis.get(place) not in (digest.encode(), None):
            raise _in_use()

    def _read(self, given: Iterator[tuple[int, bytes]], now: datetime) -> Parcel:
        """A chunk is so many lines of the body, good or bad: the next time it is the same."""
        parcel = Parcel()
        for count, (line, text) in enumerate(given):
            if count == MAX_HITS:
                raise BadHit("too many hits", f"at most {MAX_HITS} in one request", 413)
            if count % BREATH == 0:
                time.sleep(SHORTEST)  # under gevent that is its own: the other greenlets' turn
            if count % CHUNK == 0:
                parcel.chunks.append({})
            try:
                hit = self._hit(text, now)
            except BadHit as bad:
                parcel.refuse(line, bad.reason, str(bad).removeprefix(f"{bad.reason}: "))
            else:
                parcel.chunks[-1].setdefault(hit.site, []).append(hit)
                parcel.stored += 1
        return parcel

    def _hit(self, text: bytes, now: datetime) -> Hit:
        if len(text) > MAX_HIT:
            raise BadHit("hit too large", f"at most {MAX_HIT} bytes")
        try:
            sent = decode(text)
        except msgspec.ValidationError as wrong:
            raise BadHit("bad field", str(wrong)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
            raise BadHit("not JSON", str(wrong)) from None
        hit = self._reader.read(sent, now)
        self._sites.admit(hit.site)
        return hit

    def _count(self, reasons: Counter[str], now: datetime) -> None:
        """Refusals by reason; that they cannot be counted is no reason to have the hits sent again."""
        with suppress(RedisError):
            count_refused(self._redis, reasons, now)


@dataclass(frozen=True)
class Sender:
    """Appends the chunks of one request, each once for each site."""

    raw: RawLog
    source: str
    digest: str  # of the body
    keep: int  # seconds the positions are remembered

    def send(self, chunks: Sequence[dict[str, list[Hit]]]) -> int:
        """Hits appended; those of an earlier, equal request are passed over. Raises BadHit."""
        sites = sorted({site for chunk in chunks for site in chunk})
        stands = {site: self._stand(site) for site in sites}
        sure: set[str] = set()  # sites whose last chunk is with the replicas, too: it comes again for that
        appended = 0
        for number, chunk in enumerate(chunks, 1):
            for site, hits in chunk.items():
                while stands[site] < number or (stands[site] == number and site not in sure):
                    try:
                        appended += self._append(site, hits, stands[site], number)
                        stands[site] = number
                        sure.add(site)
                    except Moved:  # the same request is served a second time just now
                        stands[site] = self._stand(site)
        return appended

    def _append(self, site: str, hits: list[Hit], before: int, number: int) -> int:
        step = (self._position(before), self._position(number))
        return self.raw.append_after(site, hits, [self.source], step, self.keep)

    def _position(self, number: int) -> str:
        return f"{number} {self.digest}" if number else ""

    def _stand(self, site: str) -> int:
        """The last chunk that is stored, 0 for none. Raises BadHit where it is another body's."""
        number, _, digest = self.raw.position(site, self.source).partition(" ")
        if number and digest != self.digest:
            raise _in_use()
        return int(number or 0)


def _in_use() -> BadHit:
    return BadHit("Idempotency-Key in use", "it came with other content before; take a new one", 422)
