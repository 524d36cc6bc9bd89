"""What `hitwall run` starts, watches and stops: the embedded Redis, the counter, the web process."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import FrameType
from urllib.request import urlopen

from hitwall.redis_server import NoRedis, RedisServer, dying_with_parent
from tracker.settings import BadSetting, Settings

log = logging.getLogger(__name__)

PYTHON = [sys.executable, "-P"]  # what lies in the working directory is not imported instead of us
WATCH = 0.2  # seconds between two looks at the processes
REST = 1.0  # seconds before a process that ended is started again; twice as long each time that it
LIVED = 5.0  # seconds had not passed and it gave up by itself, up to
LONG_REST = 30.0  # seconds
STOP = 3.0  # seconds our processes get to stop by themselves, and then
STOP_REDIS = 1.5  # seconds Redis gets: all is over within 5


class Child:
    """One `hitwall` command in a process of its own, started again when it ends."""

    def __init__(self, command: str, environ: dict[str, str]) -> None:
        self.command = command
        self._environ = environ
        self._started = float("-inf")
        self._rest = REST
        self._process: subprocess.Popen[bytes] | None = None

    def keep(self) -> None:
        """Start it where it does not run, though not at once where it has just given up."""
        if self._process is not None and (status := self._process.poll()) is not None:
            gave_up = status > 0 and time.monotonic() - self._started < LIVED
            self._rest = min(LONG_REST, 2 * self._rest) if gave_up else REST
            log.error("%s ended with status %s: again in %.1f s", self.command, status, self._rest)
            self._process = None
        if self._process is None and time.monotonic() - self._started >= self._rest:
            self._started = time.monotonic()
            self._process = subprocess.Popen(
                [*PYTHON, "-m", "hitwall", *self.command.split()],
                env=self._environ,
                start_new_session=True,  # Ctrl-C is for us: we stop them in order
                preexec_fn=dying_with_parent(),
            )

    def ask_to_stop(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def stop(self, deadline: float) -> None:
        """Wait until it has ended, by force after the deadline (monotonic)."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def run(settings: Settings, greet: Callable[[Settings], None]) -> None:
    """Everything on this machine until SIGTERM or Ctrl-C. `greet` is called once it answers.

    Raises NoRedis or BadSetting where it cannot start.
    """
    stop = stopping()
    check_free(settings)
    with redis_for(settings, stop) as (url, revive):
        environ = {**environment(), "REDIS_URL": url, "HITWALL_TOKEN": settings.token}
        commands = ["count", "serve", *(["archive --follow"] if settings.archive else [])]
        children = [Child(command, environ) for command in commands]
        greeted = False
        try:
            while not stop.wait(WATCH if greeted else 0.05):
                if not revived(revive, stop):
                    continue
                for child in children:
                    child.keep()
                if not greeted and answers(settings):
                    greet(replace(settings, redis_url=url))
                    greeted = True
        finally:
            deadline = time.monotonic() + STOP
            for child in reversed(children):
                child.ask_to_stop()
            for child in children:
                child.stop(deadline)


def environment() -> dict[str, str]:
    """Ours, with where we were imported from: an installation or a checkout."""
    roots = [str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, roots))}


def revived(revive: Callable[[], None], stop: Event) -> bool:
    """Whether Redis runs, started again if need be; that it fails once more is not the end of all."""
    try:
        revive()
    except NoRedis as error:
        if not stop.is_set():
            log.error("%s", error)
            stop.wait(REST)
        return False
    return True


@contextmanager
def redis_for(settings: Settings, stop: Event) -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of the Redis of the settings or of an embedded one, and what keeps it running."""
    if settings.redis_url:
        yield settings.redis_url, lambda: None
        return
    server = RedisServer(settings.data, settings.embedded_port, stop)
    try:
        server.start()
        yield server.url, server.start
    finally:
        server.stop(STOP_REDIS)


def stopping() -> Event:
    """An event that SIGTERM and SIGINT set."""
    stop = Event()

    def end(signum: int, frame: FrameType | None) -> None:
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, end)
    return stop


def check_free(settings: Settings) -> None:
    """Raises BadSetting where the port is taken or the address is not this machine's."""
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        with closing(socket.create_server((settings.host, settings.port), family=family)):
            pass
    except OSError as error:
        raise BadSetting(
            f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}. "
            "Set HITWALL_PORT to a free port and HITWALL_HOST to an address of this machine."
        ) from None


def base_url(settings: Settings) -> str:
    """Where this machine reaches the web process."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return "http://" + replace(settings, host=host).address


def answers(settings: Settings) -> bool:
    """Whether the web process answers."""
    try:
        with urlopen(f"{base_url(settings)}/healthz", timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False
