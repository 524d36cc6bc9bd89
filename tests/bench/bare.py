"""The price of HTTP alone: the same gunicorn worker, answering the pixel and doing nothing else."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench.stage import free_port, listening
from tests.waiting import until
from tracker.answers import GIF, PIXEL, StartResponse


def app(environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
    start("200 OK", PIXEL)
    return [GIF]


@contextmanager
def bare_server() -> Iterator[str]:
    """The address of a gunicorn with one gevent_pywsgi worker that serves `app`."""
    port = free_port()
    options = ["-k", "gevent_pywsgi", "-w", "1", "-b", f"127.0.0.1:{port}", "--log-level", "warning"]
    options += ["--keep-alive", "75", "--worker-connections", "4000", "--no-control-socket"]
    process = subprocess.Popen([sys.executable, "-m", "gunicorn", *options, f"{__name__}:app"])
    try:
        until(lambda: listening(port), 30)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
