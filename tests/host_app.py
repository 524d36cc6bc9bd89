"""A host application that counts itself. What it is like comes from the environment, for servers start it.

HOST_STORAGES  names of STORAGES, with commas; without it TrackUsage takes its own
HOST_SPOOL     the spool's directory, empty for none
"""

import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from flask import Flask, Response

from tracker import TrackUsage
from tracker.storage import Batch, Writer
from tracker.storage.redis_db import RedisStorage

SITE = "host.example"
CHUNKS = 10  # of a streamed answer
CHUNK = b"a line of the stream\n" * 50
SLEEP = 5.0  # seconds; longer than anything in a host should have to wait for


class Raising:
    """A storage that does not work."""

    def store(self, hits: Batch) -> None:
        raise RuntimeError(f"this storage takes no hits, not even these {len(hits)}")


class Sleeping:
    """A storage that takes its time."""

    def store(self, hits: Batch) -> None:
        time.sleep(SLEEP)


class Forgetting(Writer):
    """A storage that only calls its hooks."""

    def store(self, hits: Batch) -> None:
        pass


def raising(**fields: Any) -> None:
    raise RuntimeError("this hook does not work")


def sleeping(**fields: Any) -> None:
    time.sleep(SLEEP)


STORAGES: dict[str, Callable[[], Any]] = {
    "redis": RedisStorage,
    "raising": Raising,
    "sleeping": Sleeping,
    "raising-hook": lambda: Forgetting(hooks=[raising]),
    "sleeping-hook": lambda: Forgetting(hooks=[sleeping]),
}


def create_app() -> Flask:
    """The application, as a server makes it in each of its processes."""
    app = Flask("host", root_path=os.path.dirname(__file__), static_folder="data", static_url_path="/static")
    app.config["TRACK_USAGE_SITE"] = SITE
    app.config["TRACK_USAGE_SPOOL"] = os.environ.get("HOST_SPOOL") or False
    app.add_url_rule("/", "page", page)
    app.add_url_rule("/stream", "stream", stream)
    numbers = count(1)

    @app.after_request
    def sign(answer: Response) -> Response:
        """Say which process has answered, and how many it had answered before."""
        answer.headers["X-Worker"] = f"{os.getpid()}-{next(numbers)}"
        return answer

    chosen = os.environ.get("HOST_STORAGES")
    TrackUsage(app, [STORAGES[name]() for name in chosen.split(",")] if chosen else None)
    return app


def page() -> str:
    return "A page."


def stream() -> Iterator[bytes]:
    for _ in range(CHUNKS):
        yield CHUNK
