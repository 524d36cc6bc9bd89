"""What the figures were measured on."""

import os
import platform
import re
import resource
import shutil
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from hitwall.redis_programs import find_server

ROOT = Path(__file__).resolve().parent.parent.parent
LIBRARIES = ("flask", "gevent", "gunicorn", "redis", "hiredis", "msgspec")


def describe(now: datetime) -> list[tuple[str, str]]:
    """Machine, versions, commit, date; each with its name."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
    return [
        ("Date", f"{now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"),
        ("Commit", _commit()),
        ("CPU", f"{_found('/proc/cpuinfo', 'model name')}, {_cores()}"),
        ("Memory", f"{int(_found('/proc/meminfo', 'MemTotal').split()[0]) / 1e6:.0f} GB"),
        ("Kernel", platform.release()),
        ("Load before", f"{os.getloadavg()[0]:.2f} processes wanted a core in the minute before"),
        ("Python", f"{platform.python_version()}; {libraries}"),
        ("Redis", _said([str(find_server()), "--version"]).split("v=")[-1].split()[0]),
        ("nginx", _said([nginx, "-v"]).rpartition("/")[2].strip()),
        ("wrk", _said(["wrk", "-v"]).split("[")[0].removeprefix("wrk ").strip()),
    ]


def _cores() -> str:
    """Those that we may use, and how many there are where that is not all."""
    ours, all_of_them = len(os.sched_getaffinity(0)), os.cpu_count()
    return f"{ours} cores" + ("" if ours == all_of_them else f" of its {all_of_them}")


def allow_open_files(wanted: int) -> int:
    """Let this process and those that it starts have so many, or as many as they may; how many that is.

    A shell's usual limit is 1,024, which everybody may raise up to the hard limit; root may raise that, too.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, hard), max(wanted, hard)))
        return max(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def available() -> int:
    """Bytes of memory that are to be had without swapping."""
    return int(_found("/proc/meminfo", "MemAvailable").split()[0]) * 1024


def _commit() -> str:
    commit = _said(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]).strip()
    changed = _said(
        ["git", "-C", str(ROOT), "status", "--porcelain", "--", "tracker", "summaries", "hitwall"]
    )
    return commit + (" with changes not committed" if changed.strip() else "")


def _found(file: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.+)$", Path(file).read_text(), re.M)
    return found[1] if found else "unknown"


def _said(command: list[str]) -> str:
    """What a program prints, wherever; wrk tells its version with status 1."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        return done.stdout or done.stderr
    except OSError:
        return "unknown"
