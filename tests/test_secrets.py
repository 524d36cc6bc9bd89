"""Nothing that only the operator knows is told: not to strangers, not to lookers, not in logs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from hitwall.redis_server import RedisServer
from tests.asking import ask
from tests.service import Service
from tests.waiting import until

TOKEN = "the-token-of-these-tests"
SECRETS = (TOKEN, "hunter2", "hunter3")
TARGETS = [
    *("/", "/healthz", "/readyz", "/metrics", "/live?channel=example.com", "/ask", "/absent"),
    *("/api/sites", "/api/example.com/hits", "/api/example.com/reports/pages", "/api/openapi.json", "/api/x"),
    *("/a.gif?url=https://example.com/", "/a.js", "/demo/"),
]
COMMANDS = [
    *(["settings"], ["sites"], ["status"], ["top", "url"], ["hits"], ["verify"], ["watch", "--once"]),
    *(["report", "pages"], ["archive"], ["explain", "hitwall:sites"], ["forget", "--ip", "203.0.113.7"]),
]


@pytest.fixture(params=["a wrong password", "nobody there"])
def service(request: pytest.FixtureRequest, tmp_path: Path, free_port: int) -> Iterator[Service]:
    """A service whose Redis lets it not in, or is away, and whose archive is unreachable as well."""
    with RedisServer(tmp_path / "redis") as server:
        with Redis.from_url(server.url) as redis:
            redis.config_set("requirepass", "right")
        port = server.url.rpartition(":")[2] if request.param == "a wrong password" else f"{free_port}/0"
        address = f"redis://default:hunter2@127.0.0.1:{port}"
        archive = "postgresql://hits:hunter3@127.0.0.1:1/hits"
        started = Service(address, token=TOKEN, archive=archive, data=str(tmp_path), public="open.example")
        with (tmp_path / "log").open("wb") as log:
            started.log = log
            try:
                yield started
            finally:
                started.stop()
        with Redis.from_url(server.url, password="right") as redis:
            redis.config_set("requirepass", "")


def told_of(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def test_no_answer_and_no_line_of_the_log_tells_a_secret(service: Service, tmp_path: Path) -> None:
    service.start("count")
    service.start("serve")
    for target in TARGETS:
        for headers in ({}, {"Authorization": f"Bearer {TOKEN}"}):
            answer = service.get(target, **headers)
            assert told_of(f"{answer.headers} {answer.body!r}") == [], target
    moved = service.get(f"/?token={TOKEN}")
    assert told_of(f"{moved.headers['Location']} {moved.body!r}") == []
    until(lambda: (tmp_path / "log").stat().st_size)
    assert told_of((tmp_path / "log").read_text()) == []


def test_no_command_tells_a_secret(service: Service, shell: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in service.environ.items():
        monkeypatch.setenv(name, value)
    for command in COMMANDS:
        answer = ask(*command)
        assert told_of(answer.output) == [], command
        assert answer.exception is None or isinstance(answer.exception, SystemExit), command
