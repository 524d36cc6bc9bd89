"""What a file system must be asked for by name: that something is on the disk, and that a file is ours."""

import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def aside(call: Callable[..., T], *given: object) -> T:
    """What it returns. Where gevent has patched the process, a real thread runs it meanwhile: a disk that
    takes its time would hold up every greenlet.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return call(*given)
    try:
        returned: T = sys.modules["gevent"].get_hub().threadpool.apply(call, given)
    except RuntimeError:  # no thread can be had, as when a process ends in Python 3.12
        return call(*given)
    return returned


def locked(path: Path, file: int) -> bool:
    """Whether it is ours now, and still the one of that name. Raises OSError where files have no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file), path.lstat())
    except (BlockingIOError, FileNotFoundError):
        return False


def sync_directory(directory: Path) -> None:
    """A new name is on the disk once its directory is."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        aside(os.fsync, opened)
    finally:
        os.close(opened)


def write_anew(path: Path, text: str) -> None:
    """A file of that text, in place of what is there: not through a link that somebody has laid."""
    path.unlink(missing_ok=True)
    with path.open("x") as file:
        file.write(text)
