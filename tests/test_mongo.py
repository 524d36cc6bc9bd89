"""MongoStorage, as far as that can be told without a server: no package registry has one to install."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import bson
import pytest
from hypothesis import given
from pymongo import MongoClient

from tests.any_hits import any_hits
from tests.hits import NOW, PROPERTY, hit
from tracker.hit import Hit
from tracker.storage import Away, Batch, mongo
from tracker.storage.documents import Document
from tracker.storage.mongo import MongoPiggybackStorage, MongoStorage, document_of, hit_of, refused

ROOT = Path(__file__).resolve().parent.parent
ID = "2126-11-21T06:31:11.000000Z-test-1-0"


def written(one: Hit) -> dict[str, Any]:
    """The document as MongoDB would give it back."""
    stamp = one.at.replace(tzinfo=None).isoformat(timespec="microseconds")
    return bson.decode(bson.encode(document_of(f"{stamp}Z-test-1-0", one)))


def keys_of(value: Any) -> Iterator[str]:
    """Every key in it, at any depth."""
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys_of(inner)
    yield from value if isinstance(value, dict) else ()


@pytest.fixture
def nobody(free_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[MongoStorage]:
    """A storage whose server does not run."""
    monkeypatch.setattr(mongo, "FINDING", 0.1)
    storage = MongoStorage("shop", "hits", port=free_port)
    yield storage
    storage.collection.database.client.close()


@given(one=any_hits(2**70))
@PROPERTY
def test_any_hit_can_be_written_as_a_document_and_comes_back_as_it_was(one: Hit) -> None:
    assert hit_of(written(one)) == one


@given(one=any_hits(2**70))
@PROPERTY
def test_no_key_that_a_visitor_sends_means_something_to_mongodb(one: Hit) -> None:
    assert [key for key in keys_of(written(one)) if key.startswith("$") or "." in key or not key] == []


def test_a_document_has_the_fields_of_the_hit_by_their_names() -> None:
    one = hit(
        "/a", at=NOW + timedelta(microseconds=1500), bytes=2**40, params={"a.b": "1"}, track_var={"n": [1]}
    )
    document = document_of(ID, one)
    assert document == {
        "_id": ID,
        "at": one.at,
        "site": "example.com",
        "path": "/a",
        "source": "pixel",
        "bytes": 2**40,
        "params": '{"a.b":"1"}',
        "track_var": {"n": [1]},
    }
    assert type(hit_of(written(one)).bytes) is int  # type: ignore[union-attr]


def test_what_is_nested_too_deep_for_mongodb_is_kept_as_text() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"in": deep}
    one = hit(track_var=deep)
    assert isinstance(written(one)["track_var"], str)
    assert hit_of(written(one)) == one


@pytest.mark.parametrize(
    "document",
    [
        {"_id": ID},
        {"_id": "2126-11-21T06:31:11", "site": "a", "path": "/", "source": "flask"},
        {"_id": ID, "site": "a", "path": "/", "source": "flask", "bytes": "many"},
        {"_id": ID, "site": bson.ObjectId(), "path": "/", "source": "flask"},
    ],
)
def test_other_documents_are_passed_over(document: dict[str, Any]) -> None:
    assert hit_of(bson.decode(bson.encode(document))) is None


def test_a_server_that_does_not_answer_is_away(nobody: MongoStorage) -> None:
    with pytest.raises(Away, match=r"MongoDB: .*refused"):
        nobody.store(Batch([hit()], "test", 1))
    with pytest.raises(Away, match=r"MongoDB: .*refused"):
        nobody.get_usage()


def test_a_document_that_is_there_already_is_no_error_and_others_are_told() -> None:
    documents = [Document(f"id-{n}", {}) for n in range(4)]
    told = [
        {"index": 1, "code": 11000, "errmsg": "E11000 duplicate key error"},
        {"index": 3, "code": 121, "errmsg": "Document failed validation"},
    ]
    assert refused({"writeErrors": told, "writeConcernErrors": []}, documents) == {
        "id-3": "Document failed validation"
    }
    unsure = [{"code": 64, "errmsg": "waiting for replication timed out"}]
    with pytest.raises(Away, match="waiting for replication timed out"):
        refused({"writeErrors": told, "writeConcernErrors": unsure}, documents)


def test_a_collection_that_the_application_has_opened_is_used() -> None:
    with MongoClient[dict[str, Any]](connect=False) as client:
        for storage in (
            MongoPiggybackStorage(client.shop.hits, [print]),
            MongoStorage("shop", client.shop.hits),
        ):
            assert storage.collection == client.shop.hits
            assert storage.collection.database.client is client


def test_each_collection_has_a_name_of_its_own_that_stays() -> None:
    places = [("a", "b", "127.0.0.1"), ("a", "c", "127.0.0.1"), ("b", "b", "127.0.0.1"), ("a", "b", "other")]
    names = {MongoStorage(database, collection, host).name for database, collection, host in places}
    assert len(names) == 4
    assert MongoStorage("a", "b").name == MongoStorage("a", "b", username="wall", password="x").name


def test_each_process_connects_for_itself() -> None:
    script = """
import os
from tracker.storage.mongo import MongoStorage

storage = MongoStorage("shop", "hits")
client = storage.collection.database.client
assert client is storage.collection.database.client
if not (child := os.fork()):
    os._exit(storage.collection.database.client is client)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)


def test_without_pymongo_it_is_told_what_to_install() -> None:
    script = "import sys; sys.modules['pymongo'] = sys.modules['bson'] = None; import tracker.storage.mongo"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (
        done.stderr.splitlines()[-1] == "ImportError: MongoStorage needs pymongo: pip install hitwall[mongo]"
    )
