"""The embedded Redis: a server of our own, for this machine only, whose data lies in ours."""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import BinaryIO, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hitwall.redis_programs import NoRedis, find_cli, find_server, find_server_for
from hitwall.redis_questions import answers, replace_cut_file
from hitwall.redis_sync import Syncing
from tracker.disk import write_anew
from tracker.settings import URL_FILE

__all__ = ["URL_FILE", "NoRedis", "RedisServer", "dying_with_parent", "find_cli", "find_server"]

HOST = "127.0.0.1"
PORTS = 50  # tried, from the one that was asked for
START_LIMIT = 600  # seconds; a large append-only file takes minutes to load
POLL = 0.02  # seconds between two questions to a server that is starting
ANSWER_LIMIT = 2.0  # seconds; a loading server answers between two pieces of its file
LOG_BYTES = 1_000_000  # a longer log is set aside at the next start; one old log is kept
LOG_LINES = 5  # shown when the server will not start
PR_SET_PDEATHSIG = 1  # prctl(2), Linux

# Without syncing Redis writes before it answers; redis_sync syncs. An empty logfile is standard output. Why
# its file is written anew without compression, and not below 256 MB: docs/operating.md.
OPTIONS = f"""--bind {HOST} --protected-mode yes --daemonize no --appendonly yes
    --appendfsync no --rdbcompression no --auto-aof-rewrite-min-size 256mb
    --maxmemory-policy noeviction --loglevel notice""".split()
OPTIONS += ["--save", "", "--logfile", ""]


class RedisServer:
    """A Redis on 127.0.0.1 with its data in `data`/redis, which ends when the thread that started it does.
    `port` is the wanted one until start, then the one in use; `pid` is 0 while stopped.
    """

    def __init__(self, data: Path, port: int = 6399, cancelled: Event | None = None) -> None:
        self.port = port
        self.pid = 0
        self._cancelled = cancelled or Event()  # set: no more waiting for one that loads
        self._folder = data.absolute() / "redis"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: BinaryIO | None = None
        self._syncing: Syncing | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Return when it answers, all loaded; after a crash on its old port, if free. Raises NoRedis."""
        if self.alive():
            return
        with contextlib.ExitStack() as failed:
            failed.callback(self.stop, 1.5)
            self._lock = self._lock or _lock(self._folder)
            self._start_on_a_free_port(find_server_for(self._folder))
            write_anew(self._folder.parent / URL_FILE, self.url + "\n")
            self._syncing = self._syncing or Syncing(self._folder)
            failed.pop_all()

    def stop(self, timeout: float = 4.0) -> None:
        """End the server, by force after `timeout` seconds; what it has answered is kept."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process, self.pid = None, 0
            if self._syncing is not None:
                self._syncing.stop()
                self._syncing = None
            (self._folder.parent / URL_FILE).unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _start_on_a_free_port(self, executable: Path) -> None:
        ports = range(self.port, min(self.port + PORTS, 65536))
        for port in ports:
            if _is_free(port) and self._start_on(port, executable):
                return
        raise NoRedis(
            f"Ports {ports[0]} to {ports[-1]} are taken. "
            "Set HITWALL_EMBEDDED_PORT to a free one, or REDIS_URL to a Redis."
        )

    def _start_on(self, port: int, executable: Path) -> bool:
        """Whether the server runs on the port; False if another program was quicker to take it."""
        assert self._lock is not None
        path = self._folder / "redis.log"
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen(
                [executable, *OPTIONS, "--port", str(port), "--dir", self._folder],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._lock.fileno()],  # an orphan holds the lock as long as it lives
                umask=0o077,  # its files hold hits
                start_new_session=True,  # Ctrl-C is for us; Redis stops after our own processes
                preexec_fn=dying_with_parent(),
            )
            self.port, self.pid = port, self._process.pid
            _write_pid(self._lock, self.pid)
            return self._is_up(path, before)

    def _is_up(self, log: Path, before: int) -> bool:
        """True once it has loaded its data, False if the port was taken; NoRedis if it gives up."""
        assert self._process is not None
        deadline = time.monotonic() + START_LIMIT
        with redis.Redis(HOST, self.port, socket_timeout=ANSWER_LIMIT, retry=Retry(NoBackoff(), 0)) as client:
            while time.monotonic() < deadline and not self._cancelled.is_set():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(POLL)
                    break
                if answers(client, self.pid):
                    replace_cut_file(client, log.read_bytes()[before:])
                    return True
        said = log.read_bytes()[before:].decode(errors="replace").strip()
        if "Address already in use" in said:
            return False
        lines = "\n".join(said.splitlines()[-LOG_LINES:])
        raise NoRedis(f"The Redis server did not start; {log} says:\n{lines}")


def _lock(folder: Path) -> BinaryIO:
    """The data directory's lock, held until we and whoever inherited it have closed it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / "lock").open("a+b", buffering=0)
    except OSError as error:
        raise NoRedis(
            f"The data directory {folder.parent} is not writable: {error.strerror}. "
            "Set HITWALL_DATA to one that is."
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        with file:
            file.seek(0)
            holder = file.read().decode().strip()
        raise NoRedis(
            f"Another Hitwall (process {holder}) uses the data directory {folder.parent}. "
            "Stop it, or set HITWALL_DATA to another directory."
        ) from None
    _write_pid(file, os.getpid())
    return file


def _write_pid(file: BinaryIO, pid: int) -> None:
    file.truncate(0)
    file.write(b"%d\n" % pid)


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_server((HOST, port)):
        return True
    return False


def dying_with_parent() -> Callable[[], None]:
    """What the new process does before it becomes Redis: ask Linux for a SIGTERM at our death."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # looked up here: no lock is safe after fork
    parent = os.getpid()

    def ask() -> None:
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

    return ask
