"""What waits in the door's spool, searched for a person; no file of a process that lives is changed."""

import time
from pathlib import Path

from tracker.person import Person
from tracker.spool_file import CHUNK
from tracker.spooled import files

POLL = 0.2  # seconds between two looks
PATIENCE = 20.0  # seconds in which a door hands over what waits, while Redis takes it


def wait_until_gone(directory: Path, name: str, person: Person, seconds: float = PATIENCE) -> list[Path]:
    """The files of that name that hold a trace of the person still when time is up; most times none.

    A file goes when the last of it is in the raw log.
    """
    end = time.monotonic() + seconds
    while (left := _holding(directory, name, person)) and time.monotonic() < end:
        time.sleep(POLL)
    return left


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
