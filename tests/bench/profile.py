"""Where the time of a hit goes: py-spy looks at web process and counter under load, function by function."""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from tests.bench import usage
from tests.bench.report import Cells, Part
from tests.bench.stage import Stage, hitwall
from tests.bench.wrk import CONNECTIONS, load

SECONDS = 8  # that py-spy looks at each
RATE = 250  # looks a second
LEAD = 2  # seconds of load before and after
TOP = 15  # functions
STOP = 20  # seconds that py-spy may take to write what it has seen
HEAD: Cells = ("", "share", "µs a hit")

READING = f"""\
py-spy looks {RATE} times a second at which function runs, for {SECONDS} s each at the web process and at the
counter, while wrk sends hits over {CONNECTIONS} connections as fast as they are answered. *Share* is a
function's own time, without the functions that it calls, of all the time in which the process ran; what C
code takes, a system call among it, is in the function that called it. The µs are that share of the processor
time that the process took for a hit meanwhile; py-spy's looks slow it down a little."""


@dataclass(frozen=True)
class Profile:
    """One process under load."""

    looks: Counter[str]  # function -> how often it was the one that ran
    cost: float  # CPU seconds of a hit
    problem: str = ""  # why there are no looks


def measure(plan: Path, folder: Path) -> Part:
    """The two processes, one after the other."""
    with hitwall() as stage:
        ways: dict[str, tuple[int, Callable[[], int]]] = {
            "web process": (stage.service.workers()[0], stage.stored),
            "counter": (stage.pids["counter"], stage.counted),
        }
        load(stage.base, plan, LEAD)
        found = {name: _profile(stage, plan, *way, folder / "looks") for name, way in ways.items()}
    told = [row for name, profile in found.items() for row in rows(name, profile)]
    return Part("Where the time of a hit goes", READING, told, HEAD)


def _profile(stage: Stage, plan: Path, pid: int, done: Callable[[], int], looks: Path) -> Profile:
    sender = Thread(target=load, args=(stage.base, plan, SECONDS + LEAD))
    sender.start()
    before, cpu = done(), usage.cpu(pid)
    problem = _record(pid, looks)
    hits, cpu = done() - before, usage.cpu(pid) - cpu
    sender.join()
    return Profile(Counter() if problem else own_time(looks.read_text()), cpu / max(1, hits), problem)


def _record(pid: int, looks: Path) -> str:
    """Let py-spy write what it sees; why it could not, empty where it could."""
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if not program:
        return "py-spy is not installed: `pip install -r tests/requirements.txt`"
    command = [program, "record", "--pid", str(pid), "--duration", str(SECONDS), "--rate", str(RATE)]
    command += ["--format", "raw", "--function", "--output", str(looks)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + STOP)
    if done.returncode == 0 and looks.exists():
        return ""
    said = (done.stderr.strip() or f"status {done.returncode}").removeprefix("Error: ").partition(": ")[0]
    return f"py-spy may not look ({said}): run as root, or `sysctl kernel.yama.ptrace_scope=0` before"


def own_time(raw: str) -> Counter[str]:
    """Function -> looks at which it ran itself, of lines `outer (file);inner (file) looks`."""
    found: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, looks = line.rpartition(" ")
        found[stack.rpartition(";")[2]] += int(looks)
    return found


def rows(name: str, profile: Profile) -> list[Cells]:
    """Those of one process, the dearest first."""
    head = (f"**{name}**", "", f"**{profile.cost * 1e6:.1f}**")
    if profile.problem:
        return [(f"**{name}**: {profile.problem}", "", "")]
    total = profile.looks.total()
    top = profile.looks.most_common(TOP)
    rest = total - sum(looks for _, looks in top)
    return [
        head,
        *(_row(f"`{function}`", looks / total, profile.cost) for function, looks in top),
        _row(f"{len(profile.looks) - len(top)} others", rest / total, profile.cost),
    ]


def _row(what: str, share: float, cost: float) -> Cells:
    return (what, f"{share:.1%}", f"{share * cost * 1e6:.1f}")
