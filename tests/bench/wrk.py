"""wrk, the load generator: https://github.com/wg/wrk."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")
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


def load(base: str, plan: Path, seconds: int) -> Load:
    """Send the plan's hits as fast as they are answered."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(SCRIPT), base, "--", str(plan)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + SPARE, check=True)
    return Load(**json.loads(done.stdout.splitlines()[-1]))
