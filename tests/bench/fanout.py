"""Fan-out: the same events to many streams, ours and flask-sse's as it is."""

import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from redis import ResponseError

from tests.bench import usage
from tests.bench.by_hand import by_hand
from tests.bench.machine import allow_open_files, available
from tests.bench.report import UNKNOWN, Cells, Part, ms, percentile
from tests.bench.sender import Refused, Sent, send
from tests.bench.stage import hitwall, redis_server
from tests.bench.streams import NOTE, streaming
from tests.bench.traffic import SITE, Visit

SIZES = (100, 1_000, 10_000)  # streams
EVENTS = 5  # one a second
OPENING = 25.0  # seconds in which the streams are opened; who has brought no event then is not open
LAST = 10.0  # seconds in which the last event must have come to everybody
CLIENTS = 15_000  # connections that Redis takes from flask-sse
SPARE = 200  # files that its web process needs for other things
ANSWER = 30.0  # seconds that the request of an event may take
SILENT = 1.5  # seconds without a new arrival after which no more are awaited
PAUSE = 0.5  # seconds between what opened the streams and the first event
PING = 1.0  # seconds between two events meanwhile, without which flask-sse's streams do not begin
FILES = 1.1  # open files that the reader needs for a stream, and some
MEMORY = 150_000  # bytes for a stream: of flask-sse's, and of what the kernel keeps
HEAD: Cells = ("", "streams asked for", "open", "kB a stream", "p50", "p99", "came", "CPU a delivered event")

READING = f"""\
So many streams of one channel are opened on one web process, and one process reads them all. Then {EVENTS}
events of the size of a frame, one a second, each made by a request: ours is a hit that is stored, counted and
shown, flask-sse's view does nothing but publish. The time is from the moment at which the request was to be
sent until a stream has brought the event; every pair of event and open stream is one value. *Open* are
streams that have brought an event; after {OPENING:.0f} s nobody waited for more. flask-sse sends nothing
before, and needs a connection to Redis and two open files for each stream: where no more files are allowed
it is asked for fewer, and Redis may have more clients here than the 10,000 of its default. Memory is what
web process and Redis have grown by, without what the kernel keeps for a connection; *CPU* is theirs and the
counter's, for one event brought to one stream. *Came* is what had come {LAST:.0f} s after the last event, of
all that should have."""


@dataclass
class Source:
    """A web process with streams; `send` makes one event, with the next number, at each of the times."""

    port: int
    pids: list[int]
    growing: list[int]  # those of them that hold something for each stream
    target: Callable[[int], str]
    sent: int = field(default=0, init=False)

    def send(self, times: Sequence[float]) -> list[Sent]:
        first = self.sent + 1
        self.sent += len(times)
        return send(self.port, [self.target(n) for n in range(first, self.sent + 1)], times, ANSWER)

    def cpu(self) -> float:
        return sum(map(usage.cpu, self.pids))

    def size(self) -> int:
        """Bytes in memory now."""
        return sum(map(usage.rss, self.growing))


def measure(plan: Sequence[Visit], folder: Path) -> Part:
    """Each size of both, in turns."""
    most = (allow_open_files(0) - SPARE) // 2
    rows = []
    for size in SIZES:
        rows.append(_row("ours", size, lambda: _ours(plan), folder / "notes"))
        rows.append(_row("flask-sse", min(size, most), _flask_sse, folder / "notes"))
    return Part("Fan-out", READING, rows, HEAD)


@contextmanager
def _ours(plan: Sequence[Visit]) -> Iterator[Source]:
    with hitwall(streams=str(SIZES[-1] + 100)) as stage:
        pids = stage.pids
        targets = [visit.target for visit in plan]
        growing = [pids["web"], pids["Redis"]]
        source = Source(stage.service.port, list(pids.values()), growing, lambda n: targets[n % len(targets)])
        source.send([0.0])
        stage.catch_up()  # a site that has no hits has no stream
        yield source


@contextmanager
def _flask_sse() -> Iterator[Source]:
    with redis_server() as (server, redis), by_hand(server.url) as view:
        with suppress(ResponseError):  # no more open files for Redis, either: it keeps its default
            redis.config_set("maxclients", CLIENTS)
        pids = [view.pid, server.pid]
        yield Source(view.port, pids, pids, lambda n: f"/event?hits={n}")


def _row(name: str, size: int, way: Callable[[], AbstractContextManager[Source]], notes: Path) -> Cells:
    lack = _lacking(size)
    if lack:
        return (name, f"{size:,}", lack, *[UNKNOWN] * (len(HEAD) - 3))
    with way() as source:
        with streaming(source.port, SITE, 1, OPENING, notes) as said:
            _open(source, said)  # what is loaded with the first
        before = source.size()
        with streaming(source.port, SITE, size, OPENING, notes) as said:
            _open(source, said)
            first, cpu = source.sent, source.cpu()
            sent = _sent(source)
            _wait(notes)
            spent, grown = source.cpu() - cpu, source.size() - before
    noted = notes.read_bytes()
    opened = len({stream for stream, _, _ in NOTE.iter_unpack(noted)})
    return (name, f"{size:,}", f"{opened:,}", *_figures(delays(noted, first, sent), opened, grown, spent))


def _open(source: Source, said: IO[bytes]) -> None:
    """Return once all streams have begun, or time is up."""
    said.readline()  # all are asked for
    while not select.select([said], [], [], PING)[0]:
        with suppress(OSError, Refused):  # it answers nobody just now; the streams may still begin
            source.send([0.0])
    said.readline()


def _sent(source: Source) -> list[Sent]:
    """The events; none where they could not be made."""
    try:
        return source.send([n + PAUSE for n in range(EVENTS)])
    except (OSError, Refused) as error:
        print(f"events could not be made: {error}", file=sys.stderr)
        return []


def _wait(notes: Path) -> None:
    """Until no more arrives, for as long as the last event may take."""
    end, size, since = time.monotonic() + LAST, 0, time.monotonic()
    while time.monotonic() < min(end, since + SILENT):
        time.sleep(SILENT / 10)
        if (now := notes.stat().st_size) != size:
            size, since = now, time.monotonic()


def delays(notes: bytes, first: int, sent: Sequence[Sent]) -> list[float]:
    """Seconds from each event to each stream, in order of size; the events after `first` are these.

    Who gets a later event without the one before it, as a picture that is complete, has got both.
    """
    found: list[float] = []
    seen: dict[int, int] = {}  # stream -> how many of these events it has
    for stream, number, at in NOTE.iter_unpack(notes):
        had, has = seen.get(stream, 0), min(number - first, len(sent))
        if has > had:
            found += [at - event.at for event in sent[had:has]]
            seen[stream] = has
    return sorted(found)


def _figures(came: Sequence[float], opened: int, grown: int, spent: float) -> Cells:
    if not came:
        return (UNKNOWN,) * 5
    return (
        f"{grown / opened / 1000:.1f}",
        ms(percentile(came, 0.5)),
        ms(percentile(came, 0.99)),
        f"{len(came):,} of {opened * EVENTS:,}",
        f"{spent / len(came) * 1e6:.0f} µs",
    )


def _lacking(size: int) -> str:
    """What this machine has too little of for so many streams; empty where nothing."""
    if (allowed := allow_open_files(0)) < size * FILES:
        return f"needs {size * FILES:,.0f} open files, {allowed:,} are allowed (ulimit -Hn)"
    if available() < size * MEMORY:
        return f"needs {size * MEMORY / 1e9:.1f} GB of memory, {available() / 1e9:.1f} are free"
    return ""
