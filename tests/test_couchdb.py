"""CouchDBStorage, on a PouchDB Server: what speaks CouchDB's HTTP API."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
import urllib3
from flask import Flask
from hypothesis import given

from tests.any_hits import any_hits
from tests.hits import FIREFOX, NOW, PROPERTY, hit
from tests.pouchdb import PouchDB, started_pouchdb
from tracker import TrackUsage
from tracker.hit import Hit
from tracker.storage import Away, Batch, Unstorable, couchdb
from tracker.storage.couchdb import CouchDBStorage

ROOT = Path(__file__).resolve().parent.parent
STORED = b'[{"id":"0","rev":"1-0"}]'
EXACT = 2**53  # JavaScript, and so PouchDB, has no larger integers


@pytest.fixture(scope="module")
def server() -> Iterator[PouchDB]:
    with started_pouchdb() as started:
        yield started


@pytest.fixture
def other_server() -> Iterator[PouchDB]:
    """One that this test may change and stop."""
    with started_pouchdb() as started:
        yield started


@pytest.fixture
def database() -> str:
    """The name of a database that is not there yet."""
    return f"hits-{uuid4().hex}"


@pytest.fixture
def storage(server: PouchDB, database: str) -> CouchDBStorage:
    return CouchDBStorage(database, port=server.port)


def batch(hits: Sequence[Hit], position: int = 1, source: str = "test") -> Batch:
    return Batch(hits, source, position)


def numbered(size: int, first: int = 0) -> list[Hit]:
    """Hits a second apart, the oldest first."""
    return [hit(f"/{n}", at=NOW + timedelta(seconds=n)) for n in range(first, first + size)]


def paths(storage: CouchDBStorage, start: datetime | None = None, end: datetime | None = None) -> list[str]:
    return [one.path for one in storage.hits(start, end)]


def ask(server: PouchDB, method: str, path: str, content: object = None) -> Any:
    """What the server answers; the test fails where that is no success."""
    answer = urllib3.request(method, server.url + path, json=content, retries=False, timeout=10)
    assert answer.status in (200, 201), answer.data
    return answer.json()


@given(one=any_hits(EXACT))
@PROPERTY
def test_a_hit_comes_back_as_it_was(server: PouchDB, one: Hit) -> None:
    storage = CouchDBStorage("any", port=server.port)
    storage.store(batch([one], source=uuid4().hex))
    assert one in list(storage.hits(one.at, one.at))


def test_hits_come_back_the_newest_first_and_each_once_over_all_pages(
    storage: CouchDBStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couchdb, "PAGE", 7)
    hits = numbered(30)
    storage.store(batch(hits[::2], 1))
    storage.store(batch(hits[1::2], 2))
    assert list(storage.hits(None, None)) == hits[::-1]


def test_hits_stored_while_somebody_reads_neither_repeat_nor_hide_others(
    storage: CouchDBStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couchdb, "PAGE", 4)
    storage.store(batch(numbered(10)))
    reading = storage.hits(None, None)
    read = [next(reading) for _ in range(3)]
    storage.store(batch(numbered(10, 10), 2))
    assert [one.path for one in [*read, *reading]] == [f"/{n}" for n in reversed(range(10))]


def test_the_hits_from_one_moment_to_another_are_asked_for_to_the_microsecond(
    storage: CouchDBStorage,
) -> None:
    tick = timedelta(microseconds=1)
    storage.store(batch([hit(f"/{n}", at=NOW + n * tick) for n in range(5)]))
    assert paths(storage, NOW + tick, NOW + 3 * tick) == ["/3", "/2", "/1"]
    assert paths(storage, NOW + 3 * tick) == ["/4", "/3"]
    assert paths(storage, None, NOW) == ["/0"]
    assert paths(storage, NOW + tick, NOW) == []


def test_get_usage_gives_pages_of_the_newest_first(storage: CouchDBStorage) -> None:
    storage.store(batch(numbered(10)))
    end = (NOW + timedelta(seconds=7)).replace(tzinfo=None)
    assert [row["path"] for row in storage.get_usage(NOW, end, limit=3, page=2)] == ["/4", "/3", "/2"]
    assert len(storage.get_usage(limit=0)) == 10


def test_a_batch_that_comes_again_is_stored_once(storage: CouchDBStorage) -> None:
    hits = [*numbered(5), *numbered(5)]  # some of them alike
    storage.store(batch(hits))
    storage.store(batch(hits))
    assert sorted(paths(storage)) == sorted(one.path for one in hits)
    storage.store(batch(hits, 2))
    storage.store(batch(hits, 1, "another"))
    assert len(paths(storage)) == 30


def test_a_batch_that_was_stored_in_part_is_stored_whole(
    server: PouchDB, storage: CouchDBStorage, database: str
) -> None:
    hits = batch(numbered(10))
    storage.store(hits)
    stored = ask(server, "GET", f"/{database}/_all_docs")["rows"]
    for row in stored[::2]:
        ask(server, "DELETE", f"/{database}/{row['id']}?rev={row['value']['rev']}")
    storage.store(hits)
    assert paths(storage) == [one.path for one in reversed(hits)]


def test_the_same_batch_stored_by_many_at_once_is_stored_once(server: PouchDB, database: str) -> None:
    storages = [CouchDBStorage(database, port=server.port) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda storage: storage.store(batch(numbered(50))), storages))
    assert len(paths(storages[0])) == 50


def test_a_database_that_is_not_there_has_no_hits_and_is_made_when_the_first_comes(
    server: PouchDB, storage: CouchDBStorage, database: str
) -> None:
    assert paths(storage) == []
    storage.store(batch(numbered(1)))
    ask(server, "DELETE", f"/{database}")
    storage.store(batch(numbered(2), 2))
    assert paths(storage) == ["/1", "/0"]


def test_other_documents_of_the_database_are_passed_over(
    server: PouchDB, storage: CouchDBStorage, database: str
) -> None:
    storage.store(batch(numbered(2)))
    for name in ("_design/by_path", "0", "another", "2126-11-21T06:31:11.000000Z-no-hit", "~"):
        ask(server, "PUT", f"/{database}/{name}", {"path": "/other", "views": {}})
    assert paths(storage) == ["/1", "/0"]


def test_a_document_is_the_hit_as_json_under_an_id_that_begins_with_its_time(
    server: PouchDB, storage: CouchDBStorage, database: str
) -> None:
    storage.store(batch([hit("/a", track_var={"plan": "pro"})], 7, "host-1"))
    (row,) = ask(server, "GET", f"/{database}/_all_docs?include_docs=true")["rows"]
    assert row["id"] == "2126-11-21T06:31:11.000000Z-host-1-7-0"
    assert row["doc"] == {
        "_id": row["id"],
        "_rev": row["value"]["rev"],
        "at": "2126-11-21T06:31:11Z",
        "site": "example.com",
        "path": "/a",
        "source": "pixel",
        "track_var": {"plan": "pro"},
    }


def test_a_hit_that_the_database_refuses_costs_no_other(
    server: PouchDB, storage: CouchDBStorage, database: str
) -> None:
    storage.store(batch(numbered(1)))
    only = (
        "function (doc) { if (doc.path === '/3' || doc.path === '/5') throw {forbidden: 'no ' + doc.path} }"
    )
    ask(server, "PUT", f"/{database}/_design/only", {"validate_doc_update": only})
    with pytest.raises(Unstorable, match="2 of 8 hits were refused: no /3; no /5") as refused:
        storage.store(batch(numbered(8), 2))
    assert refused.value.places == {3, 5}
    assert sorted(paths(storage)) == ["/0", "/0", "/1", "/2", "/4", "/6", "/7"]


def test_a_hit_too_large_for_the_server_costs_no_other(other_server: PouchDB, database: str) -> None:
    storage = CouchDBStorage(database, port=other_server.port)
    storage.store(batch(numbered(1)))
    ask(other_server, "PUT", "/_config/couchdb/max_document_size", "2000")
    hits = numbered(40)
    hits[17] = hit("/17", track_var={"x": "x" * 2000})
    with pytest.raises(Unstorable, match="1 of 40 hits were refused") as refused:
        storage.store(batch(hits, 2))
    assert refused.value.places == {17}
    assert len(paths(storage)) == 40


def test_a_server_that_is_gone_is_away_and_takes_the_hits_when_it_is_back(
    other_server: PouchDB, database: str
) -> None:
    storage = CouchDBStorage(database, port=other_server.port)
    storage.store(batch(numbered(3)))
    other_server.stop()
    with pytest.raises(Away, match=r"CouchDB at http://127\.0\.0\.1:"):
        storage.store(batch(numbered(3), 2))
    with pytest.raises(Away):
        storage.get_usage()
    other_server.start()
    storage.store(batch(numbered(3), 2))
    assert paths(storage) == ["/2", "/1", "/0"]


def test_wrong_credentials_keep_the_hits_waiting_and_are_not_told(
    other_server: PouchDB, database: str
) -> None:
    ask(other_server, "PUT", "/_config/admins/wall", "s3cret-ü:")
    with pytest.raises(Away, match="answers 401: ") as told:
        CouchDBStorage(database, port=other_server.port, username="wall", password="s3cret-ü").store(
            batch(numbered(1))
        )
    assert "s3cret" not in str(told.value)
    storage = CouchDBStorage(database, port=other_server.port, username="wall", password="s3cret-ü:")
    storage.store(batch(numbered(1)))
    assert paths(storage) == ["/0"]


class WebServer(ThreadingHTTPServer):
    """Gives these answers, one after the other and then the last, to whatever is asked."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.answers = list(answers)
        self.clients: list[tuple[str, int]] = []


class Asked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WebServer

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.clients.append(self.client_address)
        status, body = self.server.answers.pop(0) if self.server.answers[1:] else self.server.answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def web_server(*answers: tuple[int, bytes]) -> Iterator[WebServer]:
    with WebServer(*answers) as server:
        running = Thread(target=server.serve_forever, args=(0.01,))
        running.start()
        yield server
        server.shutdown()
        running.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"{}"),
        (201, b"\xff"),
        (302, b""),
        (400, b"<html>The plain HTTP request was sent to HTTPS port"),
        (404, b"<html>"),
        (429, b'{"error":"too_many_requests","reason":"slower"}'),
        (500, b'{"error":"unknown_error","reason":"undefined"}'),
        (503, b""),
        (201, b'[{"id":"0","error":"internal_server_error","reason":"no quorum"}]'),
    ],
)
def test_what_answers_but_stores_nothing_is_away(status: int, body: bytes) -> None:
    with web_server((status, body)) as server:
        storage = CouchDBStorage("hits", port=server.server_port)
        with pytest.raises(Away):
            storage.store(batch(numbered(2)))
        with pytest.raises(Away):
            storage.get_usage()


def test_a_database_that_somebody_else_makes_at_the_same_moment_is_used() -> None:
    missing, exists = (
        b'{"error":"not_found","reason":"no_db_file"}',
        b'{"error":"file_exists","reason":"there"}',
    )
    with web_server((404, missing), (412, exists), (201, STORED)) as server:
        CouchDBStorage("hits", port=server.server_port).store(batch(numbered(1)))
        assert len(server.clients) == 3


def test_processes_that_were_forked_share_no_connection() -> None:
    script = """
import os, sys
from tests.hits import hit
from tracker.storage import Batch
from tracker.storage.couchdb import CouchDBStorage

storage = CouchDBStorage("hits", port=int(sys.argv[1]))
storage.store(Batch([hit()], "parent", 0))
if not (child := os.fork()):
    storage.store(Batch([hit()], "child", 0))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
storage.store(Batch([hit()], "parent", 1))
"""
    with web_server((201, STORED)) as server:
        command = [sys.executable, "-c", script, str(server.server_port)]
        subprocess.run(command, cwd=ROOT, check=True, timeout=60)
        first, child, second = server.clients
    assert first == second != child


def test_a_flask_application_is_counted_in_couchdb(storage: CouchDBStorage, tmp_path: Path) -> None:
    app = Flask("shop", instance_path=str(tmp_path))
    tracked = TrackUsage(app, storage)
    app.add_url_rule("/book/<int:id>", "book", lambda id: f"Book {id}")
    app.test_client().get("/book/7?page=2", headers={"User-Agent": FIREFOX})
    assert tracked.flush(app, 20)
    (usage,) = storage.get_usage()
    told = (usage["path"], usage["view_args"], usage["status"], usage["url_args"], usage["server_name"])
    assert told == ("/book/7", '{"id": 7}', 200, {"page": "2"}, "shop")


def test_each_database_has_a_name_of_its_own_that_stays() -> None:
    assert CouchDBStorage("a").name == CouchDBStorage("a", password="x").name
    assert len({one.name for one in map(CouchDBStorage, ["a", "b", "a/b"])}) == 3
    assert CouchDBStorage("a").name != CouchDBStorage("a", port=1).name


def test_a_server_without_tls_is_away_where_https_is_asked_for(server: PouchDB, database: str) -> None:
    with pytest.raises(Away, match="CouchDB at https://"):
        CouchDBStorage(database, port=server.port, protocol="https").store(batch(numbered(1)))


@pytest.mark.parametrize("name", ["", "Hits", "1", "_users", "hits?", "hits\n", "ü", "../x"])
def test_a_name_that_couchdb_does_not_take_is_told_at_once(name: str, database: str) -> None:
    with pytest.raises(ValueError, match="is no name of a CouchDB database"):
        CouchDBStorage(name)


def test_a_protocol_that_is_none_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="protocol takes http or https: not 'ftp'"):
        CouchDBStorage("hits", protocol="ftp")
