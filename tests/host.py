"""The host application of tests/host_app.py in real servers, its visitors, and what is stored of them."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs

from flask import Flask
from redis import Redis
from werkzeug.test import create_environ, run_wsgi_app

from hitwall.redis_server import dying_with_parent
from tests.hits import FIREFOX
from tests.host_app import SITE
from tests.service import ROOT, children
from tests.waiting import until
from tracker import keys
from tracker.hit import Hit
from tracker.raw import START, RawLog

TIMEOUT = 20  # seconds a visitor waits for an answer before the test fails
END = 5  # seconds a server may take to end after SIGTERM
GUNICORN = "-m gunicorn -b 127.0.0.1:{port} --no-control-socket --log-level warning"
APP = "tests.host_app:create_app"

# The command line of each kind of server, without the interpreter.
SERVERS = {
    "sync": f"{GUNICORN} -k sync -w 4 {APP}()",
    "sync, preloaded": f"{GUNICORN} -k sync -w 4 --preload {APP}()",
    "sync, recycled": f"{GUNICORN} -k sync -w 4 --max-requests 10 {APP}()",
    "gthread": f"{GUNICORN} -k gthread -w 2 --threads 8 {APP}()",
    "gthread, preloaded": f"{GUNICORN} -k gthread -w 2 --threads 8 --preload {APP}()",
    "gevent": f"{GUNICORN} -k gevent -w 2 --graceful-timeout 2 {APP}()",
    "gevent, preloaded": f"{GUNICORN} -k gevent -w 2 --preload --graceful-timeout 2 {APP}()",
    "gevent_pywsgi": f"{GUNICORN} -k gevent_pywsgi -w 2 {APP}()",
    "waitress": f"-m waitress --listen=127.0.0.1:{{port}} --threads=8 --call {APP}",
    "werkzeug": f"-m flask --app {APP} run --port {{port}} --with-threads",
}


def as_from_a_terminal() -> Callable[[], None]:
    """What a server does before it begins: die with us; heed Ctrl-C, which a background ignores."""
    die_with_us = dying_with_parent()

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        die_with_us()

    return prepare


class Host:
    """One server of the host application on a port of its own; to be stopped and started again."""

    def __init__(self, kind: str, folder: Path, redis_url: str, **environ: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.spool = folder / "spool"
        self.log = folder / "host.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HITWALL_")}
        self._environ = {**kept, "REDIS_URL": redis_url, "HOST_SPOOL": str(self.spool), **environ}
        self._command = [sys.executable, *SERVERS[kind].format(port=self.port).split()]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it takes connections."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environ,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that `kill` takes the workers along
                preexec_fn=as_from_a_terminal(),
            )
        until(self._listens, 30)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.said()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    def workers(self) -> list[int]:
        """Processes that gunicorn's master has started and that live."""
        return children(self.process.pid)

    def others(self) -> list[int]:
        """Processes of its session that still live; the first one has been waited for."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it ends just now
                state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.process.pid and state != "Z":
                    found.append(int(stat.parent.name))
        return found

    def said(self) -> str:
        """What the server and the application have logged."""
        return self.log.read_text(errors="replace")

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = END) -> None:
        """Ask the server to end and see that it does."""
        self.process.send_signal(how)
        self.process.wait(seconds)

    def kill(self) -> None:
        """End all of its processes at once, unless they have ended."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(TIMEOUT)
            until(lambda: not self.others())  # as long as a worker lives, its port takes connections

    def __enter__(self) -> "Host":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    worker: str  # <pid>-<which answer of that process>


class Visitors:
    """Threads that ask for page after page, each under a number of its own, one connection a page."""

    def __init__(self, host: Host, threads: int = 4, path: str = "/", most: int | None = None) -> None:
        self.answers: dict[int, Answer] = {}  # by number
        self.broken: list[int] = []  # numbers whose connection was lost
        self._host = host
        self._path = path
        self._most = most
        self._numbers = count(1)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _ask_on(self) -> None:
        while not self._over.is_set():
            number = next(self._numbers)
            if self._most and number > self._most:
                return
            try:
                self.answers[number] = get(self._host, f"{self._path}?n={number}")
            except (OSError, http.client.HTTPException):
                self.broken.append(number)

    def join(self) -> None:
        """Return when all of `most` are answered."""
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> "Visitors":
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.join()


def ask(host: Host, most: int, path: str = "/", threads: int = 4) -> Visitors:
    """So many requests, all answered or broken."""
    visitors = Visitors(host, threads, path, most)
    visitors.join()
    return visitors


def get(host: Host, target: str) -> Answer:
    """One request of a Firefox; OSError or HTTPException where it is not answered."""
    door = http.client.HTTPConnection("127.0.0.1", host.port, timeout=TIMEOUT)
    try:
        door.request("GET", target, headers={"User-Agent": FIREFOX})
        with door.getresponse() as response:
            return Answer(response.status, response.read(), response.getheader("X-Worker", ""))
    finally:
        door.close()


def stored_hits(redis: Redis, site: str = SITE) -> list[Hit]:
    """All hits of the raw log, oldest first."""
    return [hit for _, hit in RawLog(redis).after(site, START, 1_000_000) if hit is not None]


def stored(redis: Redis) -> Counter[int]:
    """Number of a request -> hits of it in the raw log."""
    return Counter(int(parse_qs(hit.query)["n"][0]) for hit in stored_hits(redis))


def holds(redis: Redis, hits: int) -> bool:
    """Whether there are so many in the raw log."""
    return redis.xlen(keys.raw(SITE)) >= hits


def spooled(host: Host) -> set[int]:
    """Numbers that are found in the files of the spool."""
    files = [path.read_bytes() for path in host.spool.rglob("*") if path.is_file()]
    return {int(number) for text in files for number in re.findall(rb"n=(\d+)", text)}


def see_each_once(redis: Redis, host: Host, *asked: Visitors) -> None:
    """Wait until all that was answered is stored, end the host, and see that nothing is there twice.

    A request whose connection broke may have been counted or not.
    """
    answered = Counter(number for visitors in asked for number in visitors.answers)
    broken = Counter(number for visitors in asked for number in visitors.broken)
    until(lambda: holds(redis, answered.total()) and not answered - stored(redis) and not spooled(host))
    host.stop()
    assert not stored(redis) - (answered + broken)


def call(app: Flask, target: str) -> bytes:
    """The body of the answer to a Firefox, read to its end and closed, without a server."""
    environ = create_environ(target, headers={"User-Agent": FIREFOX})
    return b"".join(run_wsgi_app(app, environ, buffered=True)[0])
