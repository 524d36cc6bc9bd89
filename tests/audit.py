"""`make audit`: is every pinned package still offered, whole, not withdrawn, and without a known hole?

The package index answers the first three (PEP 691, PEP 592). Advisories come from PyPI's own database,
which is what pip-audit asks by default, and from npm's; where a mirror has none of it, that is said.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parent.parent
FILES = ("requirements.txt", "tests/requirements.txt")  # tests/flask23.txt is old on purpose
LOCK = ROOT / "tests" / "couchdb"
INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
SIMPLE = "application/vnd.pypi.simple.v1+json"
TIMEOUT = 30  # seconds
AT_ONCE = 8  # requests
PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)")


@dataclass(frozen=True, order=True)
class Pin:
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class NotAsked(Exception):
    """The service has no such thing or does not answer; the message says which."""


def pins(files: Iterable[Path]) -> list[Pin]:
    """What the files pin. Raises ValueError at a line that pins nothing."""
    found = set()
    for file in files:
        for line in file.read_text().splitlines():
            if line and not line.startswith(("#", "-r ")):
                pinned = PIN.match(line)
                if pinned is None:
                    raise ValueError(f"{file.name}: no pin: {line}")
                found.add(Pin(canonicalize_name(pinned[1]), pinned[2]))
    return sorted(found)


def fetch(url: str, kind: str = "application/json") -> Any:
    try:
        with urlopen(Request(url, headers={"Accept": kind}), timeout=TIMEOUT) as answer:
            return json.load(answer)
    except (HTTPException, OSError, ValueError) as error:
        status = error.code if isinstance(error, HTTPError) else type(error).__name__
        raise NotAsked(f"{url}: {status}") from None


def is_of(filename: str, pin: Pin) -> bool:
    """Whether the file is a wheel or source archive of that version."""
    try:
        name, version = (
            parse_wheel_filename(filename)[:2]
            if filename.endswith(".whl")
            else parse_sdist_filename(filename)
        )
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return False  # an egg or an installer of old
    return (name, version) == (pin.name, Version(pin.version))


def withdrawn(pin: Pin, index: str) -> Iterator[str]:
    """What the index has against it."""
    files = [file for file in fetch(f"{index}/{pin.name}/", SIMPLE)["files"] if is_of(file["filename"], pin)]
    if not files:
        yield f"{pin} is not offered any more"
    for file in files:
        if file.get("yanked"):
            yield f"{file['filename']} was withdrawn: {file['yanked']}"
        if "sha256" not in file["hashes"]:
            yield f"{file['filename']} has no digest"


def advisories(pin: Pin, index: str) -> Iterator[str]:
    """Known holes of that version."""
    found = fetch(f"{index.removesuffix('/simple')}/pypi/{pin.name}/{pin.version}/json")
    for hole in found["vulnerabilities"]:
        if not hole.get("withdrawn"):
            yield f"{pin}: {hole['id']}, mended in {', '.join(hole.get('fixed_in') or ['no version'])}"


def npm_holes(folder: Path) -> Iterator[str]:
    """Known holes of what package-lock.json names. Raises NotAsked."""
    lock = json.loads((folder / "package-lock.json").read_text())
    yield from (
        f"{name} has no digest" for name, one in lock["packages"].items() if name and "integrity" not in one
    )
    command = [str(Path(sys.executable).with_name("npm")), "audit", "--package-lock-only", "--json"]
    environ = {**os.environ, "NODE_USE_SYSTEM_CA": "1"}
    said = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True).stdout
    report = json.loads(said or "{}")
    if "vulnerabilities" not in report:
        raise NotAsked("npm's advisories: " + str(report.get("message", "no answer"))[:120])
    yield from (f"{name}: {one['severity']}" for name, one in report["vulnerabilities"].items())


def audit(pinned: list[Pin], index: str) -> tuple[list[str], list[str]]:
    """What is wrong with the pins, and what could not be asked."""
    wrong: list[str] = []
    unasked: list[str] = []

    def look(pin: Pin) -> None:
        try:
            wrong.extend(withdrawn(pin, index))
        except NotAsked as why:
            wrong.append(f"{pin} could not be looked up: {why}")
        try:
            wrong.extend(advisories(pin, index))
        except NotAsked as why:
            unasked.append(str(why))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(look, pinned))
    return sorted(wrong), sorted(unasked)


def main() -> None:
    pinned = pins(ROOT / file for file in FILES)
    wrong, unasked = audit(pinned, INDEX)
    try:
        wrong += npm_holes(LOCK)
    except NotAsked as why:
        unasked.append(str(why))
    for line in wrong:
        print(line)
    print(
        f"{len(pinned)} pins; {len(wrong)} things are wrong with them or with {LOCK.name}'s package-lock.json"
    )
    if unasked:
        print(f"NOT ASKED for known holes, {len(unasked)} times, as in: {unasked[0]}; {unasked[-1]}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
