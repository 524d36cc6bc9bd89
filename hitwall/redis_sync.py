"""Brings the append-only file of the embedded Redis to the disk, once a second.

Redis's own `appendfsync everysec` holds back what it has answered, for up to 2 s, while the disk is busy with
the second before; killed then, it loses that. With `no` it writes before every answer, and we sync.
Source: flushAppendOnlyFile in https://github.com/redis/redis/blob/6.2/src/aof.c
"""

import logging
import os
import threading
from pathlib import Path

from tracker.seldom import Seldom

log = logging.getLogger(__name__)

EVERY = 1.0  # seconds; a power cut costs as much, and what the disk takes


class Syncing:
    """Goes on in a thread of its own until `stop`. `folder` is the server's directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stop = threading.Event()
        self._failed = Seldom(
            log, logging.ERROR, "%d times Redis's file could not be brought to the disk: %s"
        )
        self._thread = threading.Thread(target=self._run, name="redis-sync", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The last second is the server's own matter: it syncs when it is told to end."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                for file in self._folder.rglob("*.aof"):  # Redis 7 has several
                    sync(file)
            except OSError as error:
                self._failed.add(1, error)


def sync(file: Path) -> None:
    """What is written of the file is on the disk afterwards. Raises OSError, unless it has gone."""
    try:
        opened = os.open(file, os.O_RDONLY)
    except FileNotFoundError:  # Redis has written it anew under another name
        return
    try:
        os.fdatasync(opened)
    finally:
        os.close(opened)
