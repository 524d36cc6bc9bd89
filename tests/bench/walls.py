"""Walls: what a thousand and ten thousand streams cost, how soon each shows a hit, and the door meanwhile."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from tests.bench import usage
from tests.bench.fanout import delays
from tests.bench.machine import allow_open_files
from tests.bench.report import Lacking, Part, Row, ms, percentile
from tests.bench.sender import Sent, send
from tests.bench.stage import Stage, hitwall
from tests.bench.streams import NOTE, streaming
from tests.bench.traffic import SITE, Visit
from tests.bench.wrk import CONNECTIONS, Load, load
from tracker.raw import RawLog

FEW, MANY = 1_000, 10_000  # streams
SPARE = 500  # open files that each process may need besides
LONE = 12  # hits with nothing before and after
STEADY = 50  # hits a second
STEADY_SECONDS = 8
LOAD_SECONDS = 3  # of full load on the door
OPENING = 30.0  # seconds in which all streams have to bring a frame
SETTLE = 1.5  # seconds for the last frames to arrive before something else begins
BUSY = 5_000  # hits a second that another process takes
BUSY_SECONDS = 6
AT_ONCE = 250  # of them in one batch
WATCHING = 0.15  # of a core for looking on
SOON = 0.05  # seconds from a lone hit to the wall, at the median
AIM = {FEW: 0.3, MANY: 1.0}  # seconds from a hit to every wall, p99
SMALL = 20.0  # kB for one stream

READING = """\
So many streams of one site's hour are open on one web process; one process reads them all. The delay is from
the moment at which a hit was to be sent until a stream has brought a frame whose total includes it; every
pair of hit and stream is one value. The time that a hit was planned for counts, so that a slow answer does
not hide the wait of the hits behind it. Frames of hits are at least 250 ms apart, and up to 700 ms where
writing them would take more than a tenth of a core, so with steady hits half of the delay is that pause; what
it adds to is the time for which hits gather before they are counted together. A frame that time alone has
changed, a visitor who is not active any more, comes at most once a second, after a second without hits, and
keeps the next hit waiting no longer than it takes to write; so frames a second are counted once steady hits
have come for a second. Memory is what the web process has grown by since the first wall, which brings the
table of browsers, 28 MB once; what the kernel keeps for a connection is not in it. All processes share this
machine."""


@dataclass(frozen=True)
class Phase:
    """Hits sent while walls looked on, and what the processes used meanwhile."""

    sent: list[Sent]
    before: int  # the total without them
    cpu: dict[str, float]  # seconds by process

    def shares(self) -> str:
        """Of a core."""
        seconds = self.sent[-1].answered - self.sent[0].at
        return ", ".join(f"{name} {spent / seconds:.0%}" for name, spent in self.cpu.items())


@dataclass(frozen=True)
class Door:
    """The door at steady hits and at full load."""

    steady: list[Sent]
    full: Load


@dataclass(frozen=True)
class Walls:
    """What was seen with so many streams."""

    count: int
    lone: Phase
    steady: Phase
    full: Load
    grown: int  # bytes
    notes: bytes


class Bench:
    """The stage, and the hits to send."""

    def __init__(self, stage: Stage, plan: Path, visits: Sequence[Visit]) -> None:
        self._stage = stage
        self._plan = plan
        self._visits = visits
        self._targets = [visit.target for visit in visits]

    def door(self) -> Door:
        """Without any wall; then there has been one."""
        calm = Door(self._send(_even()), load(self._stage.base, self._plan, LOAD_SECONDS))
        self._stage.catch_up()
        with self._stage.service.frames(SITE) as frames:
            next(frames)
        return calm

    def walls(self, count: int) -> Walls:
        """So many, at lone hits, at steady ones and at full load."""
        web = self._stage.pids["web"]
        size = usage.rss(web)
        with TemporaryDirectory(prefix="hitwall-bench-") as folder:
            notes = Path(folder) / "notes"
            with self._watched(count, notes):
                lone, steady = self._phase(_lone()), self._phase(_even())
                time.sleep(SETTLE)
                grown = usage.rss(web) - size
                full = load(self._stage.base, self._plan, LOAD_SECONDS)
            self._stage.catch_up()
            return Walls(count, lone, steady, full, grown, notes.read_bytes())

    @contextmanager
    def _watched(self, count: int, notes: Path) -> Iterator[None]:
        with streaming(self._stage.service.port, SITE, count, OPENING, notes) as said:
            said.readline()
            if int(said.readline() or 0) < count:
                raise RuntimeError(f"not all of {count:,} streams have brought a frame")
            yield

    def busy(self) -> float:
        """Share of a core that the web process takes to show hits which others take and count; one wall."""
        raw, now = RawLog(self._stage.redis), datetime.now(UTC)
        hits = [visit.hit(now) for visit in self._visits]
        with self._stage.service.frames(SITE) as frames:
            next(frames)
            begun, spent = time.monotonic(), usage.cpu(self._stage.pids["web"])
            for batch in range(BUSY * BUSY_SECONDS // AT_ONCE):
                time.sleep(max(0.0, begun + batch * AT_ONCE / BUSY - time.monotonic()))
                first = batch * AT_ONCE % (len(hits) - AT_ONCE)
                at = datetime.now(UTC)
                raw.append(
                    SITE, [replace(h, at=at) for h in hits[first : first + AT_ONCE]], "bench", batch + 1
                )
            return (usage.cpu(self._stage.pids["web"]) - spent) / (time.monotonic() - begun)

    def _phase(self, times: Sequence[float]) -> Phase:
        self._stage.catch_up()
        total, before = self._stage.counted(), self._stage.cpu()
        sent = self._send(times)
        spent = {name: seconds - before[name] for name, seconds in self._stage.cpu().items()}
        return Phase(sent, total, spent)

    def _send(self, times: Sequence[float]) -> list[Sent]:
        return send(self._stage.service.port, self._targets, times)


def measure(plan: Path, visits: Sequence[Visit]) -> Part:
    """The door first without, then with walls."""
    if (allowed := allow_open_files(MANY + SPARE)) < MANY + SPARE:
        raise Lacking(f"{MANY + SPARE:,} open files are needed and {allowed:,} are allowed: see ulimit -Hn")
    with hitwall(timezone=_zone(), streams=str(MANY + 1)) as stage:
        bench = Bench(stage, plan, visits)
        calm = bench.door()
        watching = bench.busy()
        seen = [bench.walls(count) for count in (FEW, MANY)]
    name = f"A wall of {BUSY:,} hits/s that another process takes: share of a core"
    rows = [row for walls in seen for row in _rows(walls)]
    rows.append((name, f"{watching:.0%}", f"≤ {WATCHING:.0%}"))
    doors = [("without walls", calm)]
    doors += [(f"with {walls.count:,} walls", Door(walls.steady.sent, walls.full)) for walls in seen]
    return Part("Walls", READING, rows + _steady(doors) + _full(doors))


def _zone() -> str:
    """One in which no hour ends while we measure: a new hour begins with a total of 0."""
    return "UTC" if datetime.now(UTC).minute < 50 else "Asia/Kolkata"  # its hours begin at :30


def _lone() -> list[float]:
    """They come when nothing has moved for a while."""
    dice = random.Random(3)
    times = [1.0]
    while len(times) < LONE:
        times.append(times[-1] + dice.uniform(0.8, 1.2))
    return times


def _even() -> list[float]:
    return [n / STEADY for n in range(STEADY_SECONDS * STEADY)]


def _rows(walls: Walls) -> list[Row]:
    name = f"{walls.count:,} walls"
    each = f"{walls.grown / walls.count / 1000:.1f} kB"
    rows = [(f"{name}: memory for one", each, f"≤ {SMALL:.0f} kB")]
    for kind, phase in (("lone", walls.lone), ("steady", walls.steady)):
        came = delays(walls.notes, phase.before, phase.sent)
        p50, p99, longest = (percentile(came, share) for share in (0.5, 0.99, 1.0))
        soon = f"< {ms(SOON)}" if kind == "lone" and walls.count == FEW else ""
        missing = len(phase.sent) * walls.count - len(came)
        rows += [
            (f"{name}, {len(phase.sent)} {kind} hits: delay p50", ms(p50), soon),
            (f"{name}, {kind} hits: delay p99", ms(p99), f"< {ms(AIM[walls.count])}"),
            (f"{name}, {kind} hits: longest delay", ms(longest), ""),
            (f"{name}, {kind} hits: not shown to a wall", f"{missing:,}", "0"),
        ]
    rows.append((f"{name}, steady hits: frames a second for one wall", f"{_pace(walls):.2f}", "1 to 4"))
    return [*rows, (f"{name}, steady hits: shares of a core", walls.steady.shares(), "")]


def _pace(walls: Walls) -> float:
    """Of the steady phase but its first second, at the mean; all of them show new hits then."""
    start, end = walls.steady.sent[STEADY].at, walls.steady.sent[-1].at
    times: dict[int, list[float]] = {}
    for wall, _, at in NOTE.iter_unpack(walls.notes):
        if start <= at < end:
            times.setdefault(wall, []).append(at)
    pauses = sum(len(each) - 1 for each in times.values())
    return pauses / sum(each[-1] - each[0] for each in times.values())


def _steady(doors: Sequence[tuple[str, Door]]) -> list[Row]:
    rows = []
    for name, door in doors:
        waits = sorted(hit.wait for hit in door.steady)
        spread = " / ".join(ms(percentile(waits, share)) for share in (0.5, 0.99, 1.0))
        rows.append((f"Answer to {STEADY} hits/s {name}, p50 / p99 / slowest", spread, ""))
    return rows


def _full(doors: Sequence[tuple[str, Door]]) -> list[Row]:
    rows = []
    for name, door in doors:
        figures = f"{door.full.rate:,.0f}/s, {ms(door.full.p50)} / {ms(door.full.p99)}"
        rows.append((f"{CONNECTIONS} connections at once {name}, hits, p50 / p99", figures, ""))
    return rows
