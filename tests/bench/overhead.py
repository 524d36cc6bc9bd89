"""What TrackUsage costs a Flask application, measured inside one process.

Run as a module of its own, with REDIS_URL set, the name of a measurement and a directory for the spool:
its figures, told as JSON.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from flask import Flask

from hitwall import demo
from tests.bench import traffic
from tests.bench.traffic import SITE, Visit
from tracker import TrackUsage

BLOCKS = 40  # of requests to the application with TrackUsage, and as many to the one without, in turns
BLOCK = 500  # requests
WARM_UP = 1_000  # requests to each, before anything is measured
THREADS = 8
EACH = 5_000  # requests of each thread
PATIENCE = 60.0  # seconds for all hits to be stored

Environ = dict[str, Any]


@dataclass
class Cost:
    """Of one application, in seconds."""

    blocks: list[list[float]] = field(default_factory=list)  # that each request took
    asking: float = 0.0  # of the processor, by the thread that answers
    background: float = 0.0  # of the processor, by all others until all is stored


@dataclass(frozen=True)
class Crowd:
    """Many threads at once: seconds until all was answered, and until all was stored."""

    answered: float
    stored: float


class Application:
    """A Flask application with one trivial view."""

    def __init__(self, spool: Path | None) -> None:
        self.flask = Flask("bench")
        self.flask.config.update(TRACK_USAGE_SPOOL=str(spool), TRACK_USAGE_SITE=SITE)
        self.flask.add_url_rule("/", "home", lambda: "A page.")
        self.flask.add_url_rule("/<path:page>", "page", lambda page: "A page.")
        self._tracking = TrackUsage(self.flask) if spool else None

    def flush(self) -> None:
        if self._tracking:
            assert self._tracking.flush(self.flask, PATIENCE)

    def ask(self, environ: Environ) -> float:
        """One request as a server makes it; the seconds it took."""
        begun = time.perf_counter()
        answer: Iterable[bytes] = self.flask(environ, _start)
        for _ in answer:
            pass
        answer.close()  # type: ignore[attr-defined]
        return time.perf_counter() - begun


def _start(status: str, headers: list[tuple[str, str]], error: object = None) -> Callable[[bytes], None]:
    assert status == "200 OK", status
    return lambda written: None


def environ_of(visit: Visit) -> Environ:
    """What a server hands over for a visit that a browser makes through one proxy."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": visit.path,
        "QUERY_STRING": visit.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": SITE,
        "HTTP_USER_AGENT": visit.visitor.agent,
        "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "HTTP_ACCEPT_LANGUAGE": visit.visitor.language,
        "HTTP_ACCEPT_ENCODING": "gzip, deflate, br, zstd",
        "HTTP_REFERER": visit.referrer,
        "HTTP_X_FORWARDED_FOR": visit.visitor.address,
        "HTTP_CONNECTION": "keep-alive",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def alternating(plan: list[Visit], spool: Path) -> dict[str, Cost]:
    """The application without and with TrackUsage, in turns."""
    apps = {"without": Application(None), "with": Application(spool)}
    costs = {name: Cost() for name in apps}
    visits = cycle(plan)
    for app in apps.values():
        _ask_all(app, islice(visits, WARM_UP), Cost())
    for _ in range(BLOCKS):
        for name, app in apps.items():
            _ask_all(app, islice(visits, BLOCK), costs[name])
    return costs


def _ask_all(app: Application, visits: Iterable[Visit], cost: Cost) -> None:
    environs = [environ_of(visit) for visit in visits]
    own, process = time.thread_time(), time.process_time()
    cost.blocks.append([app.ask(environ) for environ in environs])
    own = time.thread_time() - own
    app.flush()
    cost.asking += own
    cost.background += time.process_time() - process - own


def crowd(plan: list[Visit], spool: Path) -> dict[str, Crowd]:
    """Many threads that ask as fast as they are answered, without and with TrackUsage."""
    return {"without": _crowd(Application(None), plan), "with": _crowd(Application(spool), plan)}


def _crowd(app: Application, plan: list[Visit]) -> Crowd:
    def ask_on(share: Iterable[Visit]) -> None:
        for visit in share:
            app.ask(environ_of(visit))

    shares = [islice(cycle(plan[first::THREADS]), EACH) for first in range(THREADS)]
    threads = [threading.Thread(target=ask_on, args=(share,)) for share in shares]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answered = time.perf_counter() - begun
    app.flush()
    return Crowd(answered, time.perf_counter() - begun)


MEASUREMENTS: dict[str, Callable[[list[Visit], Path], dict[str, Any]]] = {
    "alternating": alternating,
    "crowd": crowd,
}

if __name__ == "__main__":
    plan = traffic.visits(list(demo.lines([traffic.LOG])))
    figures = MEASUREMENTS[sys.argv[1]](plan, Path(sys.argv[2]))
    print(json.dumps({name: asdict(figure) for name, figure in figures.items()}))
