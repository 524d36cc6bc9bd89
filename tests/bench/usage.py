"""CPU time and memory of a process and all its children, as Linux tells them (proc(5))."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")  # a second
SELF = os.getpid()


def cpu(pid: int) -> float:
    """Seconds of user and system time so far, of ended children too."""
    return sum(sum(map(int, _stat(member)[11:15])) for member in family(pid)) / TICKS


def rss(pid: int) -> int:
    """Bytes in memory now."""
    return sum(_status(member, "VmRSS") for member in family(pid))


def peak(pid: int) -> int:
    """Bytes in memory at most."""
    return sum(_status(member, "VmHWM") for member in family(pid))


def family(pid: int) -> list[int]:
    """The process and its living descendants."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(_stat(int(folder.name))[1])
        except OSError:
            continue  # it has ended meanwhile
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold blanks: state, parent, …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
