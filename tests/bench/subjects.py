"""Who is compared under the same load of hits over HTTP: each started anew, on data of its own."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import usage
from tests.bench.by_hand import TOTAL, by_hand
from tests.bench.edge import RATES, edge
from tests.bench.empty_gif import empty_gif
from tests.bench.stage import hitwall, redis_server

LIMIT = "nginx: `empty_gif` and its log"


@dataclass(frozen=True)
class Subject:
    """What is asked, which processes it consists of, and how many hits it has counted."""

    base: str
    pids: list[int]
    counted: Callable[[], int]
    rate: int = 0  # hits that are sent to it a second; 0: as fast as they are answered

    def cpu(self) -> float:
        """Seconds so far."""
        return sum(map(usage.cpu, self.pids))

    def memory(self) -> int:
        """Bytes at most; what two processes share is in both."""
        return sum(map(usage.peak, self.pids))


@contextmanager
def limit() -> Iterator[Subject]:
    with TemporaryDirectory(prefix="hitwall-bench-") as place, empty_gif(Path(place)) as nginx:
        yield Subject(f"http://127.0.0.1:{nginx.port}", [nginx.pid], nginx.lines)


@contextmanager
def pixel(workers: int) -> Iterator[Subject]:
    with hitwall(workers=str(workers)) as stage:
        yield Subject(stage.base, list(stage.pids.values()), stage.counted)


@contextmanager
def our_edge() -> Iterator[Subject]:
    with edge() as (stage, front):
        yield Subject(front.base, list(stage.pids.values()), stage.counted, RATES[0])


@contextmanager
def flask_view() -> Iterator[Subject]:
    with redis_server() as (server, redis), by_hand(server.url) as view:
        yield Subject(
            f"http://127.0.0.1:{view.port}",
            [view.pid, server.pid],
            lambda: int(redis.get(TOTAL) or 0),
        )


SUBJECTS: dict[str, Callable[[], AbstractContextManager[Subject]]] = {
    LIMIT: limit,
    "our pixel, 1 worker": partial(pixel, 1),
    "our pixel, 2 workers": partial(pixel, 2),
    "our edge": our_edge,
    "a Flask view by hand, and flask-sse": flask_view,
}
