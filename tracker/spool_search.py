"""What waits in the door's spool goes into the raw log before somebody is looked for there."""

import time
from pathlib import Path

from tracker.group_commit import KEPT
from tracker.person import Person
from tracker.raw import RawLog
from tracker.spool import Spool
from tracker.spool_file import CHUNK
from tracker.spooled import files

POLL = 0.2  # seconds between two looks
PATIENCE = 20.0  # seconds in which a door hands over what waits, while Redis takes it


def emptied_of(directory: Path, name: str, person: Person, raw: RawLog) -> list[Path]:
    """Files of that name that hold a trace of the person still when time is up; most times none.

    What gone processes have left is handed over here; those that live do it themselves, and a file goes
    with the last of it. Raises RedisError.
    """
    end = time.monotonic() + PATIENCE
    while left := _holding(directory, name, person):
        _hand_over(Spool(directory, name), raw)
        if time.monotonic() > end:
            break
        time.sleep(POLL)
    return [path for path in left if path.exists()]


def _hand_over(spool: Spool, raw: RawLog) -> None:
    """What nobody else has open, each batch once."""
    spool.adopt()
    try:
        while batch := spool.oldest():
            raw.append(batch[0].site, batch, batch.source, batch.position, KEPT)
            spool.done()
    finally:
        spool.close()


def _holding(directory: Path, name: str, person: Person) -> list[Path]:
    return [path for _, _, path in files(directory, name) if _holds(path, person)]


def _holds(path: Path, person: Person) -> bool:
    before = b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                text = before + chunk
                if person.is_in(text.decode(errors="replace")):
                    return True
                before = text[-CHUNK:]  # what stands across the end of a piece is whole in the next
    except FileNotFoundError:  # handed over meanwhile
        pass
    return False
