"""wrk, the load generator: https://github.com/wg/wrk."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")
THREADS = 2  # one is all used up where nginx answers 78,000 a second, two have it answer over 90,000
CONNECTIONS = 64  # keep-alive, each waiting for its answer before it asks again
SPARE = 30  # seconds after its time at which wrk is ended by force


@dataclass(frozen=True)
class Load:
    """What wrk has seen; times in seconds."""

    answers: int  # read to their end, whatever their status
    refused: int  # of them with a status of 400 or more
    broken: int  # connections that failed, or took too long
    seconds: float
    p50: float
    p99: float
    worst: float

    @property
    def rate(self) -> float:
        """Answers with success a second."""
        return (self.answers - self.refused) / self.seconds


def load(base: str, plan: Path, seconds: int, rate: int = 0) -> Load:
    """Send the plan's hits as fast as they are answered, or so many a second."""
    command = [
        "wrk",
        f"-t{THREADS}",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "-s",
        str(SCRIPT),
        base,
        "--",
        str(plan),
        *([str(rate / THREADS)] if rate else []),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + SPARE, check=True)
    return Load(**json.loads(done.stdout.splitlines()[-1]))
