"""Walls: what a thousand open streams cost, how soon each shows a hit, and what they do to the door."""

import random
import resource
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import usage
from tests.bench.report import Part, Row, ms, percentile
from tests.bench.sender import Sent, send
from tests.bench.stage import Stage, hitwall
from tests.bench.traffic import SITE, Visit
from tests.bench.viewers import Note, notes, watching
from tests.bench.wrk import CONNECTIONS, Load, load

VIEWERS = 1_000
FILES = VIEWERS + 500  # open files that each process may need
LONE = 40  # hits with nothing before and after
STEADY = 50  # hits a second
STEADY_SECONDS = 20
CALM_SECONDS = 10  # of the same steady hits without viewers
LOAD_SECONDS = 5  # of full load on the door, without and with viewers
SETTLE = 1.0  # seconds for the last frames to arrive before something else begins
AIM = 0.3  # seconds from a hit to every wall, p99

READING = f"""\
{VIEWERS:,} streams of one site's hour are open on one web process; one process reads them all. The delay is
from the moment before a hit is sent until a viewer has read, to its end, a frame whose total includes the
hit; every pair of hit and viewer is one value. A steady hit's time is the planned one, so that a slow
answer does not hide the wait of the hits behind it. A frame comes at most every 250 ms, so with steady hits
half of the delay is that pause. Memory is what the web process has grown by, the kernel's socket buffers
not included. All processes share this machine."""


@dataclass(frozen=True)
class Phase:
    """Hits sent while the viewers looked on, and what the processes used meanwhile."""

    sent: list[Sent]
    before: int  # hits on the walls before the first
    cpu: dict[str, float]  # seconds by process

    @property
    def seconds(self) -> float:
        return self.sent[-1].answered - self.sent[0].at


@dataclass(frozen=True)
class Door:
    """The door alone, or with open walls."""

    steady: list[Sent]
    full: Load


def measure(plan: Path, visits: Sequence[Visit]) -> Part:
    """The door first without, then with viewers."""
    _allow_files()
    targets = [visit.target for visit in visits]
    with TemporaryDirectory(prefix="hitwall-bench-") as folder, hitwall(timezone=_zone()) as stage:
        calm = Door(_steady(stage, targets, CALM_SECONDS), load(stage.base, plan, LOAD_SECONDS))
        stage.catch_up()
        size = usage.rss(stage.pids["web"])
        with watching(stage.service.port, SITE, VIEWERS, Path(folder) / "notes") as viewers:
            pids = {**stage.pids, "viewers": viewers.pid}
            lone = _phase(stage, pids, targets, _lone())
            steady = _phase(stage, pids, targets, _even(STEADY_SECONDS))
            time.sleep(SETTLE)
            grown = usage.rss(stage.pids["web"]) - size
            busy = Door(steady.sent, load(stage.base, plan, LOAD_SECONDS))
        seen = notes(Path(folder) / "notes")
    rows = [("Memory for one viewer", f"{grown / VIEWERS / 1000:.1f} kB", "")]
    rows += _delays("Lone hits", lone, seen) + _delays("Steady hits", steady, seen)
    return Part("Walls", READING, rows + _frames(steady, seen) + _doors(calm, busy))


def _allow_files() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < FILES:
        raise RuntimeError(f"{FILES} open files are needed, and this machine allows {hard}: see ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _zone() -> str:
    """One in which no hour ends while we measure: a new hour begins with a total of 0."""
    return "UTC" if datetime.now(UTC).minute < 50 else "Asia/Kolkata"  # its hours begin at :30


def _lone() -> list[float]:
    dice = random.Random(3)
    times = [1.0]
    while len(times) < LONE:
        times.append(times[-1] + dice.uniform(0.6, 1.4))
    return times


def _even(seconds: float) -> list[float]:
    return [n / STEADY for n in range(int(seconds * STEADY))]


def _steady(stage: Stage, targets: Sequence[str], seconds: float) -> list[Sent]:
    return send(stage.service.port, targets, _even(seconds))


def _phase(stage: Stage, pids: dict[str, int], targets: Sequence[str], times: Sequence[float]) -> Phase:
    stage.catch_up()
    before = stage.counted()
    cpu = {name: usage.cpu(pid) for name, pid in pids.items()}
    sent = send(stage.service.port, targets, times)
    spent = {name: usage.cpu(pid) - cpu[name] for name, pid in pids.items()}
    return Phase(sent, before, spent)


def delays(phase: Phase, seen: Sequence[Note]) -> list[float]:
    """Seconds from each hit to each viewer's first frame that includes it, in order."""
    found: list[float] = []
    shown = [0] * VIEWERS  # hits of this phase that a viewer has seen
    for note in seen:
        upto = min(note.hits - phase.before, len(phase.sent))
        if upto > shown[note.viewer]:
            found += [note.at - hit.at for hit in phase.sent[shown[note.viewer] : upto]]
            shown[note.viewer] = upto
    return sorted(found)


def _delays(name: str, phase: Phase, seen: Sequence[Note]) -> list[Row]:
    found = delays(phase, seen)
    pairs = len(phase.sent) * VIEWERS
    return [
        (f"{name}: {len(phase.sent):,} in {phase.seconds:.0f} s, delay p50", ms(percentile(found, 0.5)), ""),
        (f"{name}: delay p99", ms(percentile(found, 0.99)), f"< {ms(AIM)}"),
        (f"{name}: longest delay", ms(found[-1]), ""),
        (f"{name}: never shown to a viewer", f"{pairs - len(found):,} of {pairs:,}", "0"),
        (f"{name}: shares of a core", ", ".join(_shares(phase)), ""),
    ]


def _shares(phase: Phase) -> list[str]:
    return [f"{name} {seconds / phase.seconds:.0%}" for name, seconds in phase.cpu.items()]


def _frames(phase: Phase, seen: Sequence[Note]) -> list[Row]:
    start, end = phase.sent[0].at, phase.sent[-1].at
    during = [note for note in seen if start <= note.at < end]
    got = Counter(note.viewer for note in during)
    rates = [got[viewer] / (end - start) for viewer in range(VIEWERS)]
    return [
        ("Frames a second for one viewer, fewest and most", f"{min(rates):.2f}, {max(rates):.2f}", "≤ 4"),
        ("Size of a frame", f"{statistics.median(note.size for note in during) / 1000:.1f} kB", ""),
    ]


def _doors(calm: Door, busy: Door) -> list[Row]:
    rows = []
    for name, door in (("without viewers", calm), (f"with {VIEWERS:,} viewers", busy)):
        waits = sorted(hit.wait for hit in door.steady)
        spread = " / ".join(ms(percentile(waits, share)) for share in (0.5, 0.99, 1.0))
        rows.append((f"Answer to {STEADY} hits/s {name}, p50 / p99 / slowest", spread, ""))
    for name, door in (("without viewers", calm), (f"with {VIEWERS:,} viewers", busy)):
        full = door.full
        figures = f"{full.rate:,.0f}/s, {ms(full.p50)} / {ms(full.p99)}"
        rows.append((f"{CONNECTIONS} connections at once {name}, hits, p50 / p99", figures, ""))
    return rows
