"""A counting process's loop in a thread of the test, and hits of now for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread

from redis import Redis

from summaries.rounds import run
from tests.hits import FIREFOX, SITE
from tracker.hit import Hit
from tracker.raw import RawLog
from tracker.settings import Settings


@contextmanager
def counter(url: str, **settings: str) -> Iterator[None]:
    """It counts, with these settings, until the end."""
    stop = Event()
    environ = {f"HITWALL_{name.upper()}": value for name, value in settings.items()}
    with Redis.from_url(url) as own:
        thread = Thread(target=run, args=(Settings.read(environ), own, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(20)
        assert not thread.is_alive()


def append(redis: Redis, hits: int, position: int, site: str = SITE) -> None:
    """So many hits, each of a page and a visitor of its own."""
    at = datetime.now(UTC)
    made = [
        Hit(at=at, site=site, path=f"/{position}-{n}", source="pixel", agent=FIREFOX, visitor=f"visitor-{n}")
        for n in range(hits)
    ]
    RawLog(redis).append(site, made, "test", position)
