"""CouchDBStorage: hits are documents of a database of CouchDB, or of what speaks its HTTP API."""

import os
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.exceptions import HTTPError

from tracker.hit import Hit
from tracker.storage import Away, Batch, Hook, Storage
from tracker.storage.documents import Document, Refused, ids, span, store_apart

T = TypeVar("T")

TIMEOUT = Timeout(connect=2, read=10)  # seconds; then the database is away, and the batch comes again
PAGE = 500  # documents that hits() asks for at a time: what is in memory has a bound
KEPT = 4  # connections that stay open: one stores, others may read
POOLS = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}
NAME = re.compile(
    r"[a-z][a-z0-9_$()+/-]{0,237}"
)  # https://docs.couchdb.org/en/stable/api/database/common.html
PASSING = frozenset({"internal_server_error", "timeout", "unknown_error"})  # what is no fault of the document

encode = msgspec.json.encode


class Told(msgspec.Struct):
    """What CouchDB says of one document that was sent: a revision, or an error."""

    id: str = ""
    rev: str = ""
    error: str = ""
    reason: str = ""


class Row(msgspec.Struct):
    id: str
    doc: msgspec.Raw = msgspec.Raw(b"null")


class Rows(msgspec.Struct):
    rows: list[Row]


class CouchDBStorage(Storage):
    """Puts hits into a database, one document each, and each once; the database is made where missing.

    A document is the hit as the raw log has it. Its `_id` begins with the hit's time.
    """

    def __init__(
        self,
        database: str,
        host: str = "127.0.0.1",
        port: int = 5984,
        protocol: str = "http",
        username: str | None = None,
        password: str | None = None,
        *,
        hooks: Sequence[Hook] = (),
    ) -> None:
        super().__init__(hooks)
        if not NAME.fullmatch(database):
            raise ValueError(
                f"{database!r} is no name of a CouchDB database: those begin with one of a-z, followed by "
                "any of a-z, 0-9 and _$()+/-"
            )
        if protocol not in POOLS:
            raise ValueError(f"protocol takes http or https: not {protocol!r}")
        self._server = (protocol, host, port)
        self._path = f"/{quote(database, safe='')}"
        self._headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if username:
            credentials = b64encode(f"{username}:{password or ''}".encode()).decode()
            self._headers["Authorization"] = f"Basic {credentials}"
        self._pool: tuple[int, HTTPConnectionPool] | None = None  # with its process

    @property
    def name(self) -> str:
        """One for each database."""
        what = repr((*self._server, self._path))
        return f"couchdbstorage-{blake2b(what.encode(), digest_size=4).hexdigest()}"

    def store(self, hits: Batch) -> None:
        """Each hit is stored once, however often the batch comes. Raises Away, and Unstorable for those that
        the database refuses, when all others are stored.
        """
        store_apart(self._send, [document_of(id, hit) for id, hit in zip(ids(hits), hits, strict=True)])

    def hits(self, start: datetime | None, end: datetime | None) -> Iterator[Hit]:
        """The newest first, read as they are asked for; what is no hit is passed over."""
        earliest, latest = span(start, end)
        last = ""
        while True:
            rows = self._rows(earliest, last or latest)
            for row in rows:
                if row.id != last and (hit := hit_of(row)):
                    yield hit
            if len(rows) < PAGE:
                return
            last = rows[-1].id

    def _send(self, documents: Sequence[Document]) -> dict[str, str]:
        """Those refused, each with the reason; one whose id is taken is there already."""
        body = b'{"docs":[' + b",".join(document.content for document in documents) + b"]}"
        status, answer = self._ask("POST", "/_bulk_docs", body)
        if status == 404:
            self._make()
            status, answer = self._ask("POST", "/_bulk_docs", body)
        if status == 413 or (status == 400 and _complaint(answer)):
            raise Refused(_reason(answer))
        told = self._read(status, answer, list[Told])
        if passing := [one for one in told if one.error in PASSING]:
            raise Away(f"{self._where}: {passing[0].reason or passing[0].error}")
        failed = [one for one in told if not one.rev and one.error != "conflict"]
        return {one.id: one.reason or one.error for one in failed}

    def _make(self) -> None:
        status, answer = self._ask("PUT", "")
        if status == 412:
            return  # somebody else has made it meanwhile
        self._read(status, answer, Told)

    def _rows(self, earliest: str, latest: str) -> list[Row]:
        """Documents between these ids, at most PAGE, from `latest` on; none where there is no database."""
        keys = {"startkey": encode(latest), "endkey": encode(earliest)}
        query = urlencode({"descending": "true", "include_docs": "true", "limit": PAGE, **keys})
        status, answer = self._ask("GET", f"/_all_docs?{query}")
        if status == 404 and _complaint(answer):
            return []
        return self._read(status, answer, Rows).rows

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of the answer. Raises Away."""
        try:
            answer = self._connected().request(
                method, self._path + path, body=body, headers=self._headers, retries=False, timeout=TIMEOUT
            )
        except HTTPError as error:
            raise Away(f"{self._where}: {error}") from error
        return answer.status, answer.data

    def _read(self, status: int, answer: bytes, shape: type[T]) -> T:
        """A good answer. Raises Away for any other: wrong credentials are mended some day, too."""
        try:
            if status not in (200, 201, 202):
                raise Away(f"{self._where} answers {status}: {_reason(answer)}")
            return msgspec.json.decode(answer, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise Away(f"{self._where} does not answer as CouchDB does") from None

    @property
    def _where(self) -> str:
        protocol, host, port = self._server
        return f"CouchDB at {protocol}://{host}:{port}{self._path}"

    def _connected(self) -> HTTPConnectionPool:
        """Of this process: two that share a connection read each other's answers."""
        if self._pool is None or self._pool[0] != os.getpid():
            protocol, host, port = self._server
            self._pool = os.getpid(), POOLS[protocol](host, port, maxsize=KEPT)
        return self._pool[1]


def document_of(id: str, hit: Hit) -> Document:
    """The hit's JSON, with the id before its fields."""
    return Document(id, b'{"_id":' + encode(id) + b"," + encode(hit)[1:])


def hit_of(row: Row) -> Hit | None:
    """The hit that a document was made of; None where it was made of none."""
    try:
        return msgspec.json.decode(row.doc, type=Hit)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _complaint(answer: bytes) -> Told | None:
    """What CouchDB says of a request that failed; None where it was not CouchDB that answered."""
    try:
        told = msgspec.json.decode(answer, type=Told)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return told if told.error else None


def _reason(answer: bytes) -> str:
    told = _complaint(answer)
    return told.reason or told.error if told else answer[:200].decode(errors="replace")
