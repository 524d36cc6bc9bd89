"""nginx with the configuration that we ship, on loopback, as the user who runs the tests."""

import os
import re
import shutil
import signal
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
    """An nginx that can be killed and started again; what it writes is in files of `place`."""

    def __init__(self, place: Path, port: int) -> None:
        self.port = port
        self.file = place / "nginx.conf"
        self.access = place / "access.log"
        self.errors = place / "error.log"
        self.hits = place / "hits.log"  # of the pixels that it answers itself
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        with socket.socket() as door:
            return door.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self) -> None:
        place = self.file.parent
        command = [program(), "-c", str(self.file), "-p", str(place), "-g", "daemon off;"]
        with self.errors.open("a") as errors:
            self.process = subprocess.Popen(
                command, stderr=errors, start_new_session=True, preexec_fn=dying_with_parent()
            )
        until(self.answers)

    def send(self, how: signal.Signals) -> None:
        """To its first process; SIGKILL to all of them."""
        assert self.process is not None
        if how == signal.SIGKILL:
            os.killpg(self.process.pid, how)
        else:
            self.process.send_signal(how)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        self.send(how)
        self.process.wait(TIMEOUT)


def program() -> str:
    """Debian's nginx lies where only root's PATH leads."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    assert found, "install nginx"
    return found


def configured(place: Path, **values: str) -> str:
    """The shipped file with its variables filled in, and all that it writes in `place`."""
    text = SHIPPED.read_text().replace("/tmp/", f"{place}/").replace("/dev/stdout", f"{place}/access.log")
    text = VARIABLE.sub(lambda found: values[found[1]], text)
    if os.geteuid() == 0:  # its workers would be nobody, who may not go where the tests are
        text = f"user root;\n{text}"
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
def nginx(place: Path, web: tuple[int, int], edge: bool = False, visitor: str = "cookie") -> Iterator[Nginx]:
    """An nginx in front of the web processes at these two ports; `edge`: it answers pixels itself."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        started = Nginx(place, int(free.getsockname()[1]))
    listen, first, second = (f"127.0.0.1:{port}" for port in (started.port, *web))
    told = {"EDGE_LISTEN": listen, "EDGE_WEB_A": first, "EDGE_WEB_B": second, "EDGE_VISITOR": visitor}
    log = str(started.hits) if edge else "/dev/null"
    started.file.write_text(configured(place, **told, EDGE_LOG=log))
    try:
        started.start()
        yield started
    finally:
        if started.process is not None and started.process.poll() is None:
            started.stop()
