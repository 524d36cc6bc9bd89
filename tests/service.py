"""Hitwall's own processes for tests: web and counter on a Redis, each to be killed and started."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Any, TypeVar, cast
from urllib.parse import urlencode

from redis import Redis

from hitwall.redis_server import dying_with_parent
from tests.hits import FIREFOX
from tests.waiting import until
from tracker import keys
from tracker.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 10  # seconds a test waits for an answer


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Service:
    """A web process and a counter on the Redis at `url`; both end with `stop`."""

    def __init__(self, url: str, **settings: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        chosen = {f"HITWALL_{name.upper()}": value for name, value in settings.items()}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HITWALL_")}
        self.url = url
        data = mkdtemp(prefix="hitwall-")  # for what a killed process leaves, too
        weakref.finalize(self, shutil.rmtree, data, ignore_errors=True)
        ours = {"REDIS_URL": url, "HITWALL_PORT": str(self.port), "HITWALL_DATA": data, "TMPDIR": data}
        self.environ = {**kept, **ours, **chosen}
        self.settings = Settings.read(self.environ)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.log: IO[bytes] | None = None  # where their stderr goes; None: to ours

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str, command: str = "") -> None:
        """Start `serve` or `count`; several counters go by names of their own."""
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "hitwall", command or name],
            env=self.environ,
            cwd=ROOT,
            stderr=self.log,
            start_new_session=True,  # so that a kill takes gunicorn's workers along
            preexec_fn=dying_with_parent(),
        )
        if name == "serve":
            process = self.processes[name]
            until(lambda: self.answers() or process.poll() is not None, 30)
            assert process.poll() is None, "the web process has ended"

    def answers(self) -> bool:
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    def workers(self) -> list[int]:
        """Processes of the web service that serve."""
        return children(self.processes["serve"].pid)

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> int:
        """Send the signal (SIGKILL: to all of its processes) and wait for the end; its exit status."""
        process = self.processes.pop(name)
        if how == signal.SIGKILL:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(process.pid, how)
        else:
            process.send_signal(how)
        return process.wait(TIMEOUT)

    def stop(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def get(self, target: str, method: str = "GET", **headers: str) -> Answer:
        door = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            door.request(method, target, headers=names)
            with door.getresponse() as response:
                return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            door.close()

    def hit(self, url: str = "https://example.com/", **fields: str) -> Answer:
        """One hit as a Firefox sends it; fields are the pixel's parameters."""
        query = urlencode({"url": url, **fields})
        return self.get(f"/a.gif?{query}", User_Agent=FIREFOX, Accept_Language="en-US,en;q=0.5")

    @contextmanager
    def frames(self, site: str = "example.com", bucket: str = "hour") -> Iterator[Iterator[Any]]:
        """The frames of a stream, as they come; it is closed at the end."""
        door = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            door.request("GET", f"/live?channel={site}&bucket={bucket}")
            with door.getresponse() as response:
                assert response.status == 200, response.read()
                yield (json.loads(line[5:]) for line in response if line.startswith(b"data:"))
        finally:
            door.close()

    def frame(self, hits: int, site: str = "example.com", bucket: str = "hour") -> Any:
        """The first frame of a new stream that shows so many hits."""
        with self.frames(site, bucket) as frames:
            return next(frame for frame in frames if frame["hits"] == hits)


S = TypeVar("S", bound=Service)


@contextmanager
def running(url: str, **settings: str) -> Iterator[Service]:
    """Web process and counter on the Redis at `url`, until the end."""
    with at_work(Service(url, **settings)) as service:
        yield service


@contextmanager
def at_work(service: S) -> Iterator[S]:
    """The same of a service that is made already."""
    try:
        service.start("count")
        service.start("serve")
        yield service
    finally:
        service.stop()


def children(pid: int) -> list[int]:
    """Processes that the first thread of that one has started, and that live or are not waited for yet."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def counted(redis: Redis, summary: str, site: str = "example.com", kind: str = "month") -> dict[str, int]:
    """Label -> hits of all buckets of that kind together, as Redis has it."""
    total: dict[str, int] = {}
    for key in redis.scan_iter(keys.counter(site, "hits", summary, f"{kind}:*")):
        for label, hits in cast(dict[bytes, bytes], redis.hgetall(key)).items():
            total[label.decode()] = total.get(label.decode(), 0) + int(hits)
    return total


def total(redis: Redis, site: str = "example.com") -> int:
    """All hits of a site that are counted."""
    return sum(counted(redis, "server", site).values())
