"""HTTPStorage: hits are posted to a Hitwall elsewhere, where its Redis is not within reach."""

import os
import re
import ssl
from collections.abc import Sequence
from hashlib import blake2b
from urllib.parse import urlsplit

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from tracker.posting import Posted
from tracker.storage import Away, Batch, Hook, Unstorable, Writer
from tracker.storage.lines import bodies

TIMEOUT = 5.0  # seconds to connect, and again to wait for each part of the answer
MAX_ANSWER = 262_144  # bytes; a Hitwall tells of 100 refused hits in less
SHOWN = 300  # characters of an answer in a message
# What is wrong with the hits themselves. All else is about the way there, such as a token: the hits wait.
REFUSALS = (400, 409, 413, 415, 422)
TOKEN = re.compile(r"[\x21-\x7e]*")

posted = msgspec.json.Decoder(Posted)


class Told(msgspec.Struct):
    """The sentence of a problem document."""

    detail: str = ""


class HTTPStorage(Writer):
    """Posts hits to the API door of the Hitwall at `url`, each once, as long as a repeat comes within a day.

    It gives none back: ask that Hitwall. `token` is the HITWALL_TOKEN of that Hitwall.
    """

    def __init__(
        self, url: str, *, token: str = "", hooks: Sequence[Hook] = (), timeout: float = TIMEOUT
    ) -> None:
        super().__init__(hooks)
        self._url = f"{_checked(url)}/api/hits"
        if not TOKEN.fullmatch(token):
            raise ValueError("token takes printable ASCII without blanks")
        self._headers = {"Content-Type": "application/x-ndjson", "User-Agent": "Hitwall"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout = urllib3.Timeout(connect=timeout, read=timeout)
        self._pool: tuple[int, urllib3.PoolManager] | None = None  # of this process

    @property
    def name(self) -> str:
        """One for each Hitwall: what waits in a spool for one must not go into another."""
        return f"httpstorage-{blake2b(self._url.encode(), digest_size=4).hexdigest()}"

    def store(self, hits: Batch) -> None:
        """Raises Away, after which the same batch may come again, and Unstorable for what was refused."""
        refused: set[int] = set()
        why = ""
        for first, lines in bodies(hits):
            key = f"{hits.source}-{hits.position}-{first}"
            status, body = self._post(b"\n".join(lines), key)
            if status in REFUSALS:
                refused.update(range(first, first + len(lines)))
                why = why or f"{status}: {_detail(body)}"
            else:
                answer = self._read(status, body)
                refused.update(first + row.line - 1 for row in answer.refused)
                why = why or "; ".join(f"{row.reason}: {row.detail}" for row in answer.refused[:1])
        if refused:
            raise Unstorable(f"{self._url} refused {len(refused)} of {len(hits)} hits: {why}", refused)

    def _read(self, status: int, body: bytes) -> Posted:
        """What became of the hits. Raises Away where that is no answer of a Hitwall to them."""
        if status != 200:
            raise Away(f"{self._url} answers {status}: {_detail(body)}")
        try:
            return posted.decode(body)
        except msgspec.MsgspecError:
            raise Away(f"{self._url} does not answer as a Hitwall does: {_detail(body)}") from None

    def _post(self, body: bytes, key: str) -> tuple[int, bytes]:
        """Status and body of the answer. Raises Away where none came."""
        headers = {**self._headers, "Idempotency-Key": key}
        try:
            response = self._connections().request(
                "POST",
                self._url,
                body=body,
                headers=headers,
                timeout=self._timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                return response.status, response.read(MAX_ANSWER)
            finally:
                response.close()
        except HTTPError as error:
            raise Away(f"{self._url}: {error}") from error

    def _connections(self) -> urllib3.PoolManager:
        """Made at first use, and anew after a fork: two processes must not read from one connection.

        With a context of the ssl module as it is then: gevent may have patched it after urllib3 came,
        and urllib3's own would end in a RecursionError. https://github.com/gevent/gevent/issues/1016
        """
        if self._pool is None or self._pool[0] != os.getpid():
            context = ssl.create_default_context()
            self._pool = (os.getpid(), urllib3.PoolManager(ssl_context=context))
        return self._pool[1]


def _checked(url: str) -> str:
    """The address without a slash at its end. Raises ValueError, without a password in it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("url takes the address of a Hitwall, such as https://stats.example.com")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "url takes an address without a name, a query or a fragment; the token goes to token"
        )
    return url.rstrip("/")


def _detail(body: bytes) -> str:
    """The sentence of a problem document, else how the answer begins."""
    try:
        told = msgspec.json.decode(body, type=Told).detail
    except msgspec.MsgspecError:
        told = ""
    return (told or " ".join(body.decode(errors="replace").split()))[:SHOWN]
