"""What every test may ask for: a Redis of its own, a browser, a free port."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from hitwall.redis_server import RedisServer
from tests.faults import ledger
from tests.postgres import emptied, started_postgres
from tests.service import Service, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test that was skipped has not passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests of faults have sent, and what became of it."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    if rows := ledger.rows_of(reports):
        terminalreporter.section("faults")
        terminalreporter.write_line("\n".join(ledger.as_text(rows)))


@pytest.fixture(scope="session", autouse=True)
def only_settings() -> None:
    """What `make faults` sets is for the tests; to Hitwall it would be a misspelt setting."""
    os.environ.pop("HITWALL_FAULTS", None)


@pytest.fixture
def table(record_property: Callable[[str, object], None]) -> ledger.Table:
    """Where a test puts its rows; they are printed when all tests are done."""
    return ledger.Table(record_property)


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The session's own Redis, empty at first; it writes no file after its start."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    with RedisServer(tmp_path_factory.mktemp("redis"), port) as started:
        with Redis.from_url(started.url) as client:
            client.config_set("appendonly", "no")
        yield started


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Where the session's Redis is, as REDIS_URL says it."""
    return redis_server.url


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client of the session's Redis, emptied for this test; answers are bytes."""
    with Redis.from_url(redis_url) as client:
        client.flushdb()
        yield client


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    """The environment in which a command finds the session's Redis, no other setting, and 100 columns."""
    for name in [name for name in os.environ if name.startswith("HITWALL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    """A browser; each test opens pages of its own in it. Without one on the machine it fails."""
    from tests.chromium import open_chromium  # it starts no test that needs no browser

    with open_chromium() as browser:
        yield browser


@pytest.fixture
def service(redis: Redis, redis_url: str) -> Iterator[Service]:
    """Web process and counter, running, on the session's Redis; behind one trusted proxy."""
    with running(redis_url, trusted_proxies="1") as started:
        yield started


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of the session's own PostgreSQL."""
    with started_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def archive_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, as HITWALL_ARCHIVE says it; each test runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hits.db'}"
    return emptied(request.getfixturevalue("postgres"))
