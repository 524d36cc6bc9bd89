"""`hitwall run`, as a newcomer starts it: one command, one Ctrl-C."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from redis import Redis, RedisError

from hitwall import processes
from tests.hits import FIREFOX
from tests.service import ROOT, children, total
from tests.waiting import until
from tracker import keys


class Run:
    """A `hitwall run` on free ports with its data in a directory of its own."""

    def __init__(self, data: Path) -> None:
        ports = []
        for _ in range(2):
            with socket.create_server(("127.0.0.1", 0)) as free:
                ports.append(free.getsockname()[1])
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("HITWALL_", "REDIS_URL"))}
        self.environ = kept | {
            "HITWALL_DATA": str(data),
            "HITWALL_PORT": str(ports[0]),
            "HITWALL_EMBEDDED_PORT": str(ports[1]),
            "TMPDIR": str(data.parent),  # for what a killed process leaves
        }
        self.data = data
        self.base = f"http://127.0.0.1:{ports[0]}"
        self.said = ""
        self.process: subprocess.Popen[str] | None = None

    def command(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """A command of the same operator, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "hitwall", *words],
            env={**self.environ, **settings},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
        )

    def start(self) -> None:
        """Until it has printed everything."""
        command = [sys.executable, "-m", "hitwall", "run"]
        self.process = subprocess.Popen(
            command, env=self.environ, cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith("Some traffic"):
                break
        self.said = "".join(lines)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process
        self.process.send_signal(how)
        status = self.process.wait(10)
        if self.process.stdout:
            self.process.stdout.close()
        return status

    def redis(self) -> Redis:
        return Redis.from_url((self.data / "redis.url").read_text().strip())

    def hit(self) -> int:
        page = Request(f"{self.base}/a.gif?url=https://example.com/", headers={"User-Agent": FIREFOX})
        with urlopen(page, timeout=10) as answer:
            return int(answer.status)

    def children(self) -> list[int]:
        """Processes whose parent it is."""
        assert self.process
        return children(self.process.pid)


def gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False


def stored(run: Run) -> bool:
    """Whether a hit is taken again."""
    try:
        return run.hit() == 200
    except (OSError, HTTPError):
        return False


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started = Run(tmp_path / "data")
    started.start()
    yield started
    if started.process and started.process.poll() is None:
        started.stop()


def test_it_prints_the_wall_the_script_tag_and_a_redis_cli_line_and_serves(run: Run) -> None:
    assert f"{run.base}/\n" in run.said
    assert f'<script defer src="{run.base}/a.js"></script>' in run.said
    assert re.search(r"redis-cli -p \d+ --scan --pattern 'hitwall:\*'", run.said)
    for path in ("/", "/demo/", "/a.js", "/static/wall.css", "/healthz", "/readyz"):
        with urlopen(run.base + path, timeout=10) as answer:
            assert answer.status == 200, path
    with urlopen(f"{run.base}/", timeout=10) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy


def test_sigterm_ends_it_all_within_5_s_and_the_data_is_there_at_the_next_start(run: Run) -> None:
    assert run.hit() == 200
    with run.redis() as redis:
        until(lambda: total(redis) == 1)
    children, begun = run.children(), time.monotonic()
    assert run.stop() == 0
    assert time.monotonic() - begun < 5
    assert len(children) == 3
    assert all(gone(pid) for pid in children)
    run.start()
    assert run.hit() == 200
    with run.redis() as redis:
        until(lambda: total(redis) == 2)
        assert redis.xlen(keys.raw("example.com")) == 2


def test_a_process_that_was_killed_is_started_again_and_the_count_goes_on(run: Run) -> None:
    assert run.hit() == 200
    for pid in run.children():
        os.kill(pid, signal.SIGKILL)

    until(partial(stored, run))
    with run.redis() as redis:
        until(lambda: total(redis) == redis.xlen(keys.raw("example.com")) >= 2, 20)


def test_kill_9_leaves_no_process_behind(run: Run) -> None:
    children = run.children()
    run.stop(signal.SIGKILL)
    until(lambda: all(gone(pid) for pid in children), 10)


def test_redis_killed_again_and_again_does_not_end_it(run: Run) -> None:
    for _ in range(3):
        until((run.data / "redis.url").exists)
        with run.redis() as redis:
            until(partial(answers, redis))
            pid = int(redis.info()["process_id"])
        os.kill(pid, signal.SIGKILL)
        until(partial(gone, pid))
        until(partial(stored, run))
    assert run.process
    assert run.process.poll() is None


def test_it_listens_on_ipv6_where_told_so(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.environ["HITWALL_HOST"] = "::1"
    run.base = run.base.replace("127.0.0.1", "[::1]")
    run.start()
    try:
        assert f"{run.base}/\n" in run.said
        assert run.hit() == 200
    finally:
        run.stop()


def archived(file: Path) -> int:
    """Hits in the archive."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM hits").fetchone()[0])
    except sqlite3.OperationalError:  # it is being made
        return 0


def test_it_copies_hits_to_the_archive_that_it_is_told_of(tmp_path: Path) -> None:
    run, file = Run(tmp_path), tmp_path / "hits.db"
    run.environ["HITWALL_ARCHIVE"] = f"sqlite:///{file}"
    run.start()
    try:
        assert len(run.children()) == 4
        assert run.hit() == 200
        until(lambda: archived(file) == 1)
    finally:
        assert run.stop() == 0


def test_the_demo_sends_hits_that_are_counted(run: Run) -> None:
    done = run.command("demo", "--count", "60", "--rate", "600")
    assert "60 answered with 200" in done.stdout, done.stderr
    with run.redis() as redis:
        until(lambda: total(redis, "demo.example") == 60)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"HITWALL_PORT": "eighty"}, "HITWALL_PORT=eighty cannot be used: HITWALL_PORT takes a whole number"),
        ({"HITWALL_TIMEZONE": "Mars"}, "takes the name of a time zone"),
        ({"HITWALL_TIMEZON": "UTC"}, "did you mean HITWALL_TIMEZONE?"),
        ({"HITWALL_HOST": "203.0.113.7"}, "Cannot listen on 203.0.113.7"),
        ({"REDIS_URL": "bogus"}, "takes an address such as redis://127.0.0.1:6379/0"),
        ({"REDIS_URL": "redis://127.0.0.1:1x/0"}, "takes an address such as redis://127.0.0.1:6379/0"),
        ({"HITWALL_DATA": "/proc/nowhere"}, "is not writable"),
    ],
    ids=["number", "zone", "name", "address", "redis", "redis port", "data"],
)
def test_what_cannot_start_says_why_in_one_sentence(
    tmp_path: Path, settings: dict[str, str], sentence: str
) -> None:
    done = Run(tmp_path).command("run", **settings)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(run: Run, tmp_path: Path) -> None:
    done = Run(tmp_path / "other").command("run", HITWALL_PORT=run.environ["HITWALL_PORT"])
    assert f"port {run.environ['HITWALL_PORT']}: Address already in use" in done.stderr
    assert done.returncode == 1


def test_a_command_without_any_redis_says_what_to_do(tmp_path: Path) -> None:
    done = Run(tmp_path).command("count")
    assert done.stderr == "Error: No Redis: set REDIS_URL, or start one with `hitwall run`.\n"
    demo = Run(tmp_path).command("demo", "--count", "1")
    assert "Start the service with `hitwall run`" in demo.stderr


def test_what_gives_up_at_once_is_started_again_ever_more_slowly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(processes, "REST", 0.3)
    monkeypatch.setattr(processes, "LONG_REST", 1.0)
    child = processes.Child("nonsense", processes.environment())

    def ended() -> list[str]:
        child.keep()
        return caplog.messages

    until(lambda: len(ended()) == 3)
    told = ended()[:3]
    child.stop(0.0)
    assert told == [f"nonsense ended with status 2: again in {rest} s" for rest in ("0.6", "1.0", "1.0")]
