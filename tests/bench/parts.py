"""The parts of the benchmark by name, and one part in a process of its own.

Run as a module of its own, with a part's name and a file: measures it, and tells the file about it as JSON.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from hitwall import demo
from hitwall.redis_server import dying_with_parent
from tests.bench import (
    cluster,
    comparison,
    counting,
    door,
    edge,
    extension,
    fanout,
    growth,
    imports,
    machine,
    peer,
    profile,
    traffic,
    walls,
)
from tests.bench.peer import Peer
from tests.bench.report import Lacking, Part
from tests.bench.traffic import Visit
from tests.service import ROOT

STOP = 20.0  # seconds in which a part that is told to end stops all that it has started
FILES = 65_536  # that a process of a part may have open; a stream takes one, flask-sse's two
LATE = 2  # times its seconds after which a part is ended
LACKING = 3  # exit status: this machine has not what the part needs


@dataclass(frozen=True)
class Material:
    """What a part may measure with."""

    visits: list[Visit]
    plan: Path  # the same visits for wrk
    folder: Path  # gone at the end


@dataclass(frozen=True)
class Measurement:
    """A part that is to be measured."""

    measure: Callable[[Material], Part]
    seconds: int  # that it may take: all together are to leave a few of 15 minutes for the installation


PEER = "peer"  # the part that is measured alone, and only where PEER says what

PARTS = {
    "comparison": Measurement(lambda m: comparison.measure(m.plan, m.visits, m.folder), 168),
    "fan-out": Measurement(lambda m: fanout.measure(m.visits, m.folder), 95),
    "edge": Measurement(lambda m: edge.measure(m.plan), 130),
    "door": Measurement(lambda m: door.measure(m.plan), 38),
    "profile": Measurement(lambda m: profile.measure(m.plan, m.folder), 28),
    "counting": Measurement(lambda m: counting.measure(m.visits), 56),
    "import": Measurement(lambda m: imports.measure(m.folder, m.visits), 28),
    "walls": Measurement(lambda m: walls.measure(m.plan, m.visits), 90),
    "growth": Measurement(lambda m: growth.measure(m.visits, m.folder), 98),
    "extension": Measurement(lambda m: extension.measure(), 47),
    "cluster": Measurement(lambda m: cluster.measure(), 32),
}
ALL = {**PARTS, PEER: Measurement(lambda m: peer.measure(Peer.of(os.environ), m.visits, m.folder), 30)}


def measured(name: str, folder: Path) -> Part | str:
    """The part, or why there is none. It runs in a process of its own, so that whatever goes wrong there,
    or lasts too long, costs no other part its figures; what it leaves behind is in the folder."""
    seconds = ALL[name].seconds
    told, errors = folder / f"{name}.json", folder / f"{name}.log"
    with errors.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, name, str(told)],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder)},
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us: we end it in order
            preexec_fn=dying_with_parent(),
        )
        try:
            status = process.wait(seconds * LATE)
        except subprocess.TimeoutExpired:
            return f"it took longer than {seconds * LATE} s"
        finally:
            _end(process)
    said = errors.read_text()
    if status == 0:
        return msgspec.json.decode(told.read_bytes(), type=Part)
    if status != LACKING:
        sys.stderr.write(said)
    return (said.strip() or f"it ended with status {status}").splitlines()[-1]


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main(name: str, file: Path) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that all we started ends too
    machine.allow_open_files(FILES)
    with TemporaryDirectory(prefix="hitwall-bench-") as folder:
        visits = traffic.visits(list(demo.lines([traffic.LOG])))
        plan = Path(folder) / "plan.tsv"
        traffic.write(plan, visits)
        try:
            part = ALL[name].measure(Material(visits, plan, Path(folder)))
        except Lacking as lack:
            print(lack, file=sys.stderr)
            sys.exit(LACKING)
    file.write_bytes(msgspec.json.encode(part))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
