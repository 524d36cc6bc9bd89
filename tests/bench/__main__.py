"""Run the benchmarks named as arguments, or all of them; all of them together write RESULTS.md."""

import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from hitwall import demo
from tests.bench import cluster, counting, door, extension, imports, machine, traffic, walls
from tests.bench.report import Part

RESULTS = Path(__file__).with_name("RESULTS.md")
HEADER = """\
# What one machine does

Written by `make bench`, which measures the machine it runs on: web process, counter, embedded Redis
(append-only file, synced every second) and the load generator share it. Whatever else runs there
at the same time makes these figures worse.
"""


def main(names: list[str]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that all we started ends too
    now = datetime.now(UTC)
    where = machine.describe(now)
    plan = traffic.visits(list(demo.lines([traffic.LOG])))
    with TemporaryDirectory(prefix="hitwall-bench-") as folder:
        file = Path(folder) / "plan.tsv"
        traffic.write(file, plan)
        parts: dict[str, Callable[[], Part]] = {
            "door": partial(door.measure, file),
            "counting": partial(counting.measure, plan),
            "import": partial(imports.measure, Path(folder), plan),
            "extension": extension.measure,
            "cluster": cluster.measure,
            "walls": partial(walls.measure, file, plan),
        }
        done = []
        for name in names or parts:
            done.append(parts[name]())
            print(done[-1].text(), end="\n\n", flush=True)
    if not names:
        RESULTS.write_text(results(where, done))


def results(where: list[tuple[str, str]], parts: list[Part]) -> str:
    """The whole page."""
    table = "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in where)])
    return "\n".join([HEADER, table, "", *(part.markdown() for part in parts)])


if __name__ == "__main__":
    main(sys.argv[1:])
