"""What the processes log of outages: when each begins and when it is over, at that time, and no more."""

from pathlib import Path

from hitwall.redis_server import RedisServer
from tests.service import Service
from tests.waiting import until

LINES = ["counting waits for Redis", "counting goes on", "walls stand still", "walls go on"]


def told(log: Path) -> list[int]:
    """How often each of LINES stands there."""
    text = log.read_text()
    return [text.count(line) for line in LINES]


def stop_and_start(server: RedisServer, log: Path, times: int) -> None:
    """For so many times by then; each line comes while it is true."""
    server.stop()
    until(lambda: told(log)[::2] == [times] * 2)
    server.start()
    until(lambda: told(log) == [times] * 4)


def test_each_outage_is_logged_when_it_begins_and_when_it_is_over(tmp_path: Path, free_port: int) -> None:
    log = tmp_path / "log"
    with RedisServer(tmp_path, free_port) as server, log.open("wb") as file:
        service = Service(server.url, canary="0")
        service.log = file
        try:
            service.start("count")
            service.start("serve")
            service.hit()
            with service.frames() as frames:
                assert next(frames)
                stop_and_start(server, log, 1)
                stop_and_start(server, log, 2)
        finally:
            service.stop()
    assert told(log) == [2] * 4
