"""nginx with the configuration that we ship, on loopback, as the user who runs the tests."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hitwall.redis_server import dying_with_parent
from tests.service import ROOT, TIMEOUT, Service
from tests.waiting import until

SHIPPED = ROOT / "docker" / "nginx.conf"
VARIABLE = re.compile(r"\$\{([A-Z_]+)\}")


class Nginx:
    """A running nginx; what it logs is in files of `place`."""

    def __init__(self, place: Path, port: int) -> None:
        self.port = port
        self.file = place / "nginx.conf"
        self.access = place / "access.log"
        self.errors = place / "error.log"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        with socket.socket() as door:
            return door.connect_ex(("127.0.0.1", self.port)) == 0


def program() -> str:
    """Debian's nginx lies where only root's PATH leads."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    assert found, "install nginx"
    return found


def configured(place: Path, **values: str) -> str:
    """The shipped file with its variables filled in, and all that it writes in `place`."""
    text = VARIABLE.sub(lambda found: values[found[1]], SHIPPED.read_text())
    text = text.replace("/tmp/", f"{place}/").replace("/dev/stdout", f"{place}/access.log")
    return text.replace("worker_processes auto", "worker_processes 2")


@contextmanager
def two_webs(url: str, **settings: str) -> Iterator[list[Service]]:
    """Two web processes and a counter on the Redis at that address, until the end."""
    both = [Service(url, trusted_proxies="1", **settings) for _ in range(2)]
    try:
        both[0].start("count")
        for service in both:
            service.start("serve")
        yield both
    finally:
        for service in both:
            service.stop()


@contextmanager
def nginx(place: Path, web: tuple[int, int]) -> Iterator[Nginx]:
    """An nginx in front of the web processes at these two ports."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        started = Nginx(place, int(free.getsockname()[1]))
    listen, first, second = (f"127.0.0.1:{port}" for port in (started.port, *web))
    started.file.write_text(configured(place, EDGE_LISTEN=listen, EDGE_WEB_A=first, EDGE_WEB_B=second))
    with started.errors.open("w") as errors:
        command = [program(), "-c", str(started.file), "-p", str(place), "-g", "daemon off;"]
        process = subprocess.Popen(command, stderr=errors, preexec_fn=dying_with_parent())
    try:
        until(started.answers)
        yield started
    finally:
        process.terminate()
        process.wait(TIMEOUT)
