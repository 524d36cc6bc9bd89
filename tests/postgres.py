"""A PostgreSQL server of the tests' own, on a unix socket in a directory of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg

from hitwall.redis_server import dying_with_parent
from tests.waiting import until

DEBIAN = Path("/usr/lib/postgresql")  # its programs lie in a directory for each version, none on the PATH
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")  # what it holds need not outlive it


@contextmanager
def started_postgres() -> Iterator[str]:
    """The address of a server, with a database `postgres`; it is gone afterwards."""
    programs = find_programs()
    user = other_user()
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as made:  # a socket's path is 107 bytes at most
        home = Path(made)
        if user:
            shutil.chown(home, user)
        environ = {**os.environ, "LC_ALL": "C.UTF-8"}
        make = [str(programs / "initdb"), "-D", str(home / "data"), "-U", "hitwall", "-A", "trust", "-N"]
        # In the root directory, for ours may be closed to that user.
        subprocess.run(make, user=user, cwd="/", env=environ, check=True, stdout=subprocess.DEVNULL)
        options = [
            f"-c{option}" for option in ("listen_addresses=", f"unix_socket_directories={home}", *QUICK)
        ]
        server = [str(programs / "postgres"), "-D", str(home / "data"), *options]
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                server, user=user, cwd="/", env=environ, stderr=log, preexec_fn=dying_with_parent()
            )
        url = f"postgresql://hitwall@/postgres?host={quote(made, safe='')}"
        try:
            until(lambda: takes_connections(url), 60)
            yield url
        finally:
            process.send_signal(signal.SIGQUIT)  # at once
            process.wait(20)


def emptied(url: str) -> str:
    """That address, of a database that has no tables any more."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return url


def takes_connections(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url):
        return True
    return False


def find_programs() -> Path:
    """The directory of its programs, of the newest version that Debian has installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    assert versions, "no PostgreSQL: install it (Debian: apt install postgresql)"
    return versions[-1].parent


def other_user() -> str | None:
    """Who runs the server: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
