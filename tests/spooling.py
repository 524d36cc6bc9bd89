"""A real storage for tests that several processes can share and switch off, and scripts that use it.

It imports little: the scripts of the tests start quickly.
"""

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tracker.hit import Hit
from tracker.spool import Spool
from tracker.storage import Batch

ROOT = Path(__file__).resolve().parent.parent


def page(path: str) -> Hit:
    return Hit(at=datetime(2126, 11, 21, tzinfo=UTC), site="example.com", path=path, source="flask")


def batch(position: int, *paths: str, source: str = "flask-1") -> Batch:
    return Batch(map(page, paths or (f"/{position}",)), source, position)


def adopting(folder: Path, name: str = "redis") -> Spool:
    """The spool of another process, which looks for what is left."""
    spool = Spool(folder, name)
    spool.adopt()
    return spool


def taken(spool: Spool) -> Iterator[Batch]:
    """Everything in the spool; each batch is done when the next one is asked for."""
    while (found := spool.oldest()) is not None:
        yield found
        spool.done()


def positions(spool: Spool) -> list[int]:
    return [found.position for found in taken(spool)]


class Lines:
    """Writes `source position path` for each hit into a file; out of reach while the file `away` is there."""

    name = "lines"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def store(self, hits: Batch) -> None:
        if (self.folder / "away").exists():
            raise ConnectionError("the file `away` is there")
        text = "".join(f"{hits.source} {hits.position} {hit.path}\n" for hit in hits)
        with (self.folder / "lines").open("ab", buffering=0) as file:
            file.write(text.encode())

    def rows(self) -> list[tuple[str, int, str]]:
        """Source, position and path of each hit stored."""
        try:
            lines = (self.folder / "lines").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(source, int(position), path) for source, position, path in map(str.split, lines)]

    def paths(self) -> list[str]:
        return [path for _, _, path in self.rows()]

    def by_source(self) -> dict[str, list[str]]:
        """The paths of each source; its positions have grown."""
        found: dict[str, list[str]] = defaultdict(list)
        last: dict[str, int] = {}
        for source, position, path in self.rows():
            assert last.get(source, 0) <= position
            last[source] = position
            found[source].append(path)
        return dict(found)

    def away(self) -> None:
        (self.folder / "away").touch()

    def back(self) -> None:
        (self.folder / "away").unlink()


def started(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that runs this code; its arguments are in sys.argv[1:], standard output is to be read."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ran(script: str, *arguments: object) -> str:
    """What that process writes to standard output until it ends, which it does well."""
    with started(script, *arguments) as process:
        try:
            written, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 0, written
    return written
