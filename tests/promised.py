"""Applications that are counted as the old extension's documentation shows it, into real storages."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g
from redis import Redis
from werkzeug.test import TestResponse

from summaries.counting import Counting
from tests.hits import FIREFOX
from tests.service import ROOT
from tests.waiting import until
from tracker import TrackUsage
from tracker.settings import Settings
from tracker.storage import Storage
from tracker.storage.redis_db import RedisStorage
from tracker.storage.sql import SQLStorage

SITE = "localhost"  # where werkzeug's client asks
REMOTE = "203.0.113.7"
OPEN = ["counters", "database"]  # storages that tests ask; those of MongoDB and CouchDB need servers

Makes = Callable[..., Storage]  # takes hooks=[…] and settings=…


class Host:
    """An application with the views `/` and `/other`, and its visitors."""

    def __init__(self, storages: Any = None, **config: Any) -> None:
        self.app = Flask("shop")
        self.app.config.update({"TRACK_USAGE_SPOOL": False, **config})
        self.t = TrackUsage(self.app, storages)
        self.app.add_url_rule("/", "index", self.index)
        self.app.add_url_rule("/other", "other", lambda: "other")

    def index(self) -> str:
        g.track_var["optional"] = "something"
        return "Hello"

    def get(self, path: str = "/", remote: str = REMOTE, **headers: str) -> TestResponse:
        """What a new browser is answered; when it is, the hit is stored, and the hooks are called."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"User-Agent": FIREFOX, "Accept-Language": "en-US,en;q=0.5", **named}
        client = self.app.test_client(use_cookies=False)
        answer = client.get(path, headers=sent, environ_base={"REMOTE_ADDR": remote}, buffered=True)
        assert self.t.flush(self.app)
        return answer


def makes(kind: str, redis: Redis, redis_url: str, tmp_path: Path) -> Makes:
    """Makes storages of that kind, empty at first."""
    if kind == "counters":
        return lambda **given: RedisStorage(url=redis_url, **given)
    return lambda **given: SQLStorage(url=f"sqlite:///{tmp_path / 'hits.db'}", **given)


def count(redis: Redis, settings: Settings | None = None) -> None:
    """What `hitwall count` does beside the application."""
    counting = Counting.of(settings or Settings(), redis)
    for site in counting.raw.sites():
        while counting.step(site).hits:
            pass


def storage(redis_url: str) -> RedisStorage:
    return RedisStorage(url=redis_url)


def paths(stored: Storage) -> list[str]:
    """Of all hits, the oldest first."""
    return [usage["path"] for usage in stored.get_usage()][::-1]


def only(rows: Sequence[Any]) -> Any:
    """The one that there is."""
    (row,) = rows
    return row


@contextmanager
def served(file: Path, folder: Path, port: int, **environ: str) -> Iterator[None]:
    """The application of that file in Flask's own server; what it prints is in `out` and `err`."""
    command = ["-m", "flask", "--app", str(file), "run", "--port", str(port), "--no-reload"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HITWALL_", "FLASK_"))}
    spool = {"FLASK_TRACK_USAGE_SPOOL": str(folder / "spool")}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env={**kept, **spool, **environ}, stdout=out, stderr=err
        )
    try:
        until(lambda: listens(port) or process.poll() is not None, 30)
        assert process.poll() is None, (folder / "err").read_text()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def listens(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


def ask(port: int, path: str) -> Any:
    """The body of the answer to a Firefox, JSON where it is some."""
    wanted = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"User-Agent": FIREFOX})
    with urllib.request.urlopen(wanted, timeout=20) as answer:
        body = answer.read()
        return json.loads(body) if answer.headers.get_content_type() == "application/json" else body


every_storage = pytest.mark.parametrize("kind", OPEN)
