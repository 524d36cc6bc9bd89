"""`make screenshots`: the README's pictures, of the real wall with the demo's traffic."""

import random
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path

from playwright.sync_api import Browser
from redis import Redis

from hitwall import demo
from hitwall.redis_server import RedisServer
from summaries.counting import Counting
from tests.chromium import open_chromium
from tests.service import ROOT, Service
from tracker.access_log import Line
from tracker.hit import Hit, parse_page
from tracker.raw import RawLog

PICTURES = ROOT / "docs"
HISTORY = 150  # minutes of hits before the picture, so that the hour before is drawn too
MINUTE = 220  # hits in a middling minute
RATE = 4.0  # hits a second while the picture is taken
SETTLE = 8000  # milliseconds until numbers and rows have found their places


@dataclass(frozen=True)
class Picture:
    name: str
    width: int
    height: int
    scheme: str
    query: str = ""


WANTED = (
    Picture("wall-dark", 1920, 1080, "dark"),
    Picture("wall-light", 1920, 1080, "light"),
    Picture("wall-phone", 390, 844, "light"),
    Picture("wall-kiosk", 1920, 1080, "dark", "&kiosk"),
)


def past(now: datetime) -> Iterator[list[Hit]]:
    """A batch of hits for every minute of the history, the same for the same minute."""
    lines = list(demo.lines([demo.SAMPLE]))
    for minute in range(HISTORY, -1, -1):
        at = (now - timedelta(minutes=minute)).replace(second=0, microsecond=0)
        chance = random.Random(at.timestamp())
        swell = 1 + 0.35 * chance.uniform(-1, 1) + 0.4 * (at.minute / 60)
        end = min(60.0, (now - at).total_seconds())
        count = int(MINUTE * swell * end / 60)
        yield [
            hit(chance.choice(lines), at + timedelta(seconds=chance.uniform(0, end))) for _ in range(count)
        ]


def hit(line: Line, at: datetime) -> Hit:
    """As the door would have made it of the demo's request."""
    _, headers = demo.pixel(line, demo.SITE)
    page = parse_page(f"https://{demo.SITE}{line.target}")
    return Hit(
        at=at,
        site=demo.SITE,
        path=page.path,
        source="pixel",
        remote=line.remote,
        agent=line.agent,
        visitor=headers["X-Forwarded-For"].replace(".", "-"),
        language=headers["Accept-Language"],
        referrer=line.referrer,
    )


@contextmanager
def busy_service(folder: Path) -> Iterator[Service]:
    """Hitwall with a history, and visitors who come while it is open."""
    with RedisServer(folder) as server:
        redis = Redis.from_url(server.url)
        raw = RawLog(redis)
        for position, batch in enumerate(past(datetime.now(UTC))):
            raw.append(demo.SITE, batch, "history", position)
        service = Service(server.url, trusted_proxies="1")
        counting = Counting.of(service.settings, redis)
        while counting.step(demo.SITE).hits:
            pass
        service.start("count")
        service.start("serve")
        stop = threading.Event()
        visitors = threading.Thread(target=visit, args=(service, stop))
        visitors.start()
        try:
            yield service
        finally:
            stop.set()
            visitors.join()
            service.stop()


def visit(service: Service, stop: threading.Event) -> None:
    lines = islice(cycle(demo.lines([demo.SAMPLE])), 10_000)
    for _ in demo.replay(lines, service.base, RATE):
        if stop.is_set():
            return


def take(browser: Browser, service: Service, picture: Picture) -> None:
    size = {"width": picture.width, "height": picture.height}
    scheme = "dark" if picture.scheme == "dark" else "light"
    page = browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{service.base}/?site={demo.SITE}{picture.query}")
    page.wait_for_timeout(SETTLE)
    page.screenshot(path=PICTURES / f"{picture.name}.png", full_page=picture.width < 600)
    page.close()


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        busy_service(Path(folder)) as service,
        open_chromium() as browser,
    ):
        for picture in WANTED:
            take(browser, service, picture)
            print(f"docs/{picture.name}.png")


if __name__ == "__main__":
    main()
