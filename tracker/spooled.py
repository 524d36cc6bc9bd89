"""What waits in a spool, as anybody on the machine can see it from the directory."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

DOOR = "door"  # the name of the web processes' spool, in HITWALL_DATA/spool
LONGEST = 150  # characters of a name in a file's, which has 255
AT = re.compile(rb'"at":"([^"]{20,40})"')  # of the first hit of a record, right behind source and position
HEAD = 512  # bytes of a file in which it stands: source and position take fewer than 100


@dataclass(frozen=True)
class Spooled:
    """The files of one name; all zero and None where nothing waits."""

    files: int = 0
    bytes: int = 0  # on disk, with what is handed over already but stands in a file with what is not
    oldest: datetime | None = None  # when the first hit of these files happened


def spooled(directory: Path, name: str) -> Spooled:
    """What waits there; a directory that is not there or may not be read holds nothing."""
    found = files(directory, name)
    begun = [at for _, _, path in found if (at := _first(path)) is not None]
    return Spooled(len(found), sum(size for _, size, _ in found), min(begun, default=None))


def files(directory: Path, name: str) -> list[tuple[float, int, Path]]:
    """When written last, size and path of each file of that name, the oldest first."""
    found, begin = [], f"{in_file_name(name)}."
    with suppress(OSError), os.scandir(directory) as entries:  # there is none, or it may not be seen
        for entry in entries:
            if entry.name.startswith(begin) and entry.name.endswith(".spool"):
                with suppress(OSError):  # gone: another process has done it
                    facts = entry.stat(follow_symlinks=False)
                    found.append((facts.st_mtime, facts.st_size, Path(entry.path)))
    return sorted(found)


def in_file_name(name: str) -> str:
    """A dot ends it there; the rest of a long one is a hash, as file names have a bound."""
    quoted = quote(name, safe="").replace(".", "%2E")
    if len(quoted) <= LONGEST:
        return quoted
    return f"{quoted[:LONGEST]}-{blake2b(name.encode(), digest_size=8).hexdigest()}"


def _first(path: Path) -> datetime | None:
    """None where the file is gone, has no record yet, or none that can be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)  # a pipe would hold us
        try:
            found = AT.search(os.pread(file, HEAD, 0))
        finally:
            os.close(file)
        return datetime.fromisoformat(found[1].decode()) if found else None
    except (OSError, ValueError):
        return None
