"""MongoStorage: hits are documents in a collection of MongoDB. pip install hitwall[mongo]"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from tracker.hit import Hit
from tracker.storage import Away, Batch, Hook, Storage
from tracker.storage.documents import EARLIEST, Document, Refused, ids, span, stamp, store_apart

try:
    from bson.codec_options import DEFAULT_CODEC_OPTIONS
    from bson.errors import InvalidDocument
    from pymongo import DESCENDING, MongoClient
    from pymongo.collection import Collection
    from pymongo.errors import BulkWriteError, PyMongoError
except ImportError as missing:
    raise ImportError("MongoStorage needs pymongo: pip install hitwall[mongo]") from missing

Fields = dict[str, Any]

FINDING = 2  # seconds until a server that is not found is away; the batch comes again
WAITING = 10  # seconds until an answer that does not come is given up
PAGE = 500  # documents that hits() asks for at a time: what is in memory has a bound
TAKEN = 11000  # the error's code: a document with that id is there already
LARGEST = 2**63 - 1  # number of BSON
DEEPEST = 30  # lists and dicts in one another that stay what they are; MongoDB takes 100
KEY = re.compile(r"[^$.\0][^.\0]*")  # other names mean something in MongoDB's queries, or are refused
NO_TEXTS = frozenset(field.name for field in msgspec.structs.fields(Hit) if field.type is not str) - {"at"}


class MongoStorage(Storage):
    """Puts hits into a collection, one document each, and each once.

    A document has the hit's fields by their names. `_id` begins with the hit's time, `at` is the same in
    milliseconds. A value that MongoDB cannot hold, or not in every version, is there as JSON text.
    """

    def __init__(
        self,
        database: str,
        collection: str | Collection[Fields],
        host: str = "127.0.0.1",
        port: int = 27017,
        username: str | None = None,
        password: str | None = None,
        *,
        hooks: Sequence[Hook] = (),
    ) -> None:
        """It connects at the first hit, in each process anew. The user is one of that database.

        A `collection` of pymongo is used as it is, with its own client.
        """
        super().__init__(hooks)
        self._place = (host, port, database)
        self._user: Fields = {}
        if username:
            self._user = {"username": username, "password": password, "authSource": database}
        self._collection = collection
        self._client: tuple[int, MongoClient[Fields]] | None = None  # with its process

    @property
    def name(self) -> str:
        """One for each collection."""
        if isinstance(self._collection, str):
            what = repr((*self._place, self._collection))
        else:
            what = self._collection.full_name
        return f"mongostorage-{blake2b(what.encode(), digest_size=4).hexdigest()}"

    @property
    def collection(self) -> Collection[Fields]:
        """Where the hits are; the client connects on first use."""
        if not isinstance(self._collection, str):
            return self._collection
        return self._connected()[self._place[2]][self._collection]

    def store(self, hits: Batch) -> None:
        """Each hit is stored once, however often the batch comes. Raises Away, and Unstorable for those that
        the database refuses, when all others are stored.
        """
        documents = [Document(id, document_of(id, hit)) for id, hit in zip(ids(hits), hits, strict=True)]
        with reaching():
            store_apart(self._send, documents)

    def hits(self, start: datetime | None, end: datetime | None) -> Iterator[Hit]:
        """The newest first, read as they are asked for; what is no hit is passed over."""
        earliest, latest = span(start, end)
        with reaching():
            found = self.collection.with_options(codec_options=DEFAULT_CODEC_OPTIONS)
            wanted = {"_id": {"$gte": earliest, "$lte": latest}}
            with found.find(wanted, batch_size=PAGE).sort("_id", DESCENDING) as cursor:
                yield from filter(None, map(hit_of, cursor))

    def _send(self, documents: Sequence[Document]) -> dict[str, str]:
        """Those refused, each with the reason."""
        try:
            self.collection.insert_many([document.content for document in documents], ordered=False)
        except InvalidDocument as error:  # larger than MongoDB takes
            raise Refused(str(error)) from None
        except BulkWriteError as error:
            return refused(error.details, documents)
        return {}

    def _connected(self) -> MongoClient[Fields]:
        """Of this process: a client does not survive a fork."""
        if self._client is None or self._client[0] != os.getpid():
            host, port, _ = self._place
            client: MongoClient[Fields] = MongoClient(
                host,
                port,
                serverSelectionTimeoutMS=FINDING * 1000,
                connectTimeoutMS=FINDING * 1000,
                socketTimeoutMS=WAITING * 1000,
                **self._user,
            )
            self._client = os.getpid(), client
        return self._client[1]


class MongoPiggybackStorage(MongoStorage):
    """Puts hits into a collection that the application has opened."""

    def __init__(self, collection: Collection[Fields], hooks: Sequence[Hook] = ()) -> None:
        super().__init__(collection.database.name, collection, hooks=hooks)


@contextmanager
def reaching() -> Iterator[None]:
    """What MongoDB fails to do inside is Away."""
    try:
        yield
    except PyMongoError as error:
        raise Away(f"MongoDB: {error}") from error


def refused(details: Mapping[str, Any], documents: Sequence[Document]) -> dict[str, str]:
    """Id -> reason of those that will never be stored. Raises Away where what is stored may be lost."""
    if unsure := details["writeConcernErrors"]:
        raise Away(f"MongoDB: {unsure[0].get('errmsg')}")
    failed = [error for error in details["writeErrors"] if error["code"] != TAKEN]
    return {documents[error["index"]].id: str(error["errmsg"]) for error in failed}


def document_of(id: str, hit: Hit) -> Fields:
    """The hit as MongoDB takes it."""
    fields: Fields = msgspec.to_builtins(hit, str_keys=True)
    storable = {name: value if fits(value) else json_text(value) for name, value in fields.items()}
    return {"_id": id, **storable, "at": hit.at}


def hit_of(document: Mapping[str, Any]) -> Hit | None:
    """The hit that a document was made of; None where it was made of none."""
    at = document["_id"][: len(stamp(EARLIEST))]
    try:
        # Numbers that BSON gives back are of a type of its own, which `int` turns into Python's.
        fields = msgspec.to_builtins({**document, "at": at}, enc_hook=int)
        return msgspec.convert({name: read(name, value) for name, value in fields.items()}, Hit)
    except (TypeError, ValueError):
        return None


def fits(value: Any, depth: int = 0) -> bool:
    """Whether MongoDB can hold it as it is."""
    if isinstance(value, int):
        return -LARGEST <= value <= LARGEST
    if isinstance(value, dict):
        return depth < DEEPEST and all(KEY.fullmatch(key) and fits(value[key], depth + 1) for key in value)
    if isinstance(value, list):
        return depth < DEEPEST and all(fits(inner, depth + 1) for inner in value)
    return True


def json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def read(name: str, value: Any) -> Any:
    """The field's value; a text where the hit has none is JSON."""
    return msgspec.json.decode(value) if isinstance(value, str) and name in NO_TEXTS else value
