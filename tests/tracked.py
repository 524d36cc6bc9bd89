"""Flask applications that are counted into memory."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, TestResponse

from tests.hits import FIREFOX
from tracker import TrackUsage
from tracker.hit import Hit
from tracker.storage import Batch


class Memory:
    """A storage that keeps what it is given."""

    def __init__(self) -> None:
        self.hits: list[Hit] = []

    def store(self, hits: Batch) -> None:
        self.hits.extend(hits)


class Tracked:
    """An application, counted; it has the view `/` that says `hello`."""

    def __init__(self, **config: Any) -> None:
        self.app = Flask("shop")
        self.app.config.update({"TRACK_USAGE_SPOOL": False, "SECRET_KEY": "secret", **config})
        self.memory = Memory()
        self.t = TrackUsage(self.app, self.memory)
        self.app.add_url_rule("/", "home", lambda: "hello")

    @property
    def client(self) -> FlaskClient:
        """A new browser."""
        client = self.app.test_client()
        client.environ_base["HTTP_USER_AGENT"] = FIREFOX
        return client

    def get(self, path: str = "/", **options: Any) -> TestResponse:
        """What a new browser is answered, read to its end."""
        return self.client.open(path, **options, buffered=True)

    @property
    def hits(self) -> list[Hit]:
        """All hits so far."""
        assert self.t.flush(self.app)
        return self.memory.hits

    @property
    def hit(self) -> Hit:
        """The one hit."""
        (hit,) = self.hits
        return hit

    @property
    def paths(self) -> list[str]:
        return [hit.path for hit in self.hits]


def served(app: Any, path: str = "/", read: int | None = None, **options: Any) -> tuple[str, list[bytes]]:
    """Status and chunks as a WSGI server takes them: it reads to the end, or only so many, and closes."""
    environ = EnvironBuilder(path, **options).get_environ()
    statuses: list[str] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        statuses.append(status)

    body = app(environ, start_response)
    chunks: list[bytes] = []
    try:
        for chunk in body:
            if read is not None and len(chunks) == read:
                break
            chunks.append(chunk)
    finally:
        if hasattr(body, "close"):
            body.close()
    return statuses[0], chunks


def told(hit: Hit) -> tuple[str, str, int, int]:
    return hit.method, hit.path, hit.status, hit.bytes
