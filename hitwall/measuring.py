"""Where the workers of a web process keep what they measure, so that whichever is asked can add it up.

prometheus-client looks for the directory when it is imported: this module does not, but in a worker.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

SHARED = "PROMETHEUS_MULTIPROC_DIR"  # where the workers write; unset where one process is all
BEGIN = "hitwall-metrics-"  # of the directory's name
YOUNG = 60  # seconds in which one that is not locked yet may belong to a process that is starting

_held: list[BinaryIO] = []  # the lock of a worker's place


@contextmanager
def directory() -> Iterator[None]:
    """A directory for the workers that are started meanwhile; others' that were killed are swept away."""
    for left in Path(tempfile.gettempdir()).glob(f"{BEGIN}*"):
        with suppress(OSError):  # another user's, or at work
            if left.stat().st_uid != os.geteuid():  # a pipe for a lock would hold us for ever
                continue
            if time.time() - (left / "lock").stat().st_mtime > YOUNG:
                _lock(left / "lock").close()
                shutil.rmtree(left)
    made, owner = Path(tempfile.mkdtemp(prefix=BEGIN)), os.getpid()
    os.environ[SHARED] = str(made)
    with _lock(made / "lock"):
        try:
            yield
        finally:
            if os.getpid() == owner:  # a worker comes by here, too, at its end
                shutil.rmtree(made, ignore_errors=True)


def take_place() -> None:
    """In a worker, before anything is measured: go on with the numbers of one that has ended.

    By the library's own way each worker has files under its process id, which would be kept for ever.
    """
    if SHARED not in os.environ:
        return
    made = Path(os.environ[SHARED])
    for place in count():
        with suppress(BlockingIOError):
            _held.append(_lock(made / f"{place}.lock"))
            break
    values: Any = import_module("prometheus_client.values")
    values.ValueClass = values.MultiProcessValue(lambda: place)


def _lock(path: Path) -> BinaryIO:
    """Held as long as it is open. Raises BlockingIOError where another holds it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file
