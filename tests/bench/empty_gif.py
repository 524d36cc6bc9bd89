"""The limit: nginx, which answers a pixel that it has in memory and writes a line of its log, and no more."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hitwall.redis_server import dying_with_parent
from tests.bench.report import Lacking
from tests.bench.stage import free_port, listening
from tests.nginx import program
from tests.waiting import until

BLOCK = 1 << 20  # bytes read at once
CONF = """\
pid {place}/nginx.pid;
worker_processes 2;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    access_log {place}/access.log combined buffer=64k flush=200ms;
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:{port};
        location = /a.gif {{ empty_gif; }}
    }}
}}
"""


@dataclass
class EmptyGif:
    """It, running."""

    port: int
    pid: int
    log: Path
    _read: int = field(default=0, init=False)  # bytes of the log
    _lines: int = field(default=0, init=False)

    def lines(self) -> int:
        """Lines of its log so far; what was read before is not read again."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            while block := log.read(BLOCK):
                self._read += len(block)
                self._lines += block.count(b"\n")
        return self._lines


@contextmanager
def empty_gif(place: Path) -> Iterator[EmptyGif]:
    """All that it writes is in that folder."""
    try:
        nginx = program()
    except AssertionError as missing:
        raise Lacking(f"nginx is missing: {missing}") from None
    port = free_port()
    file = place / "nginx.conf"
    file.write_text(CONF.format(place=place, port=port))
    command = [nginx, "-c", str(file), "-p", str(place), "-g", "daemon off;"]
    process = subprocess.Popen(command, preexec_fn=dying_with_parent(), cwd=place)
    try:
        until(lambda: listening(port), 10)
        yield EmptyGif(port, process.pid, place / "access.log")
    finally:
        process.terminate()
        process.wait(10)
