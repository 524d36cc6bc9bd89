"""`make screenshots`: the README's pictures, of the real pages with the demo's traffic.

Arguments name the few that are wanted.
"""

import random
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path

from msgspec.structs import replace
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
OLDER = "lighthouse.example"  # the site that is asked about
DAYS = 70  # of its hits
DAILY = 900  # hits in a middling one of them
NOON = 13.5 * 3600  # seconds of a day, around which most hits come
RATE = 4.0  # hits a second while the picture is taken
SETTLE = 8000  # milliseconds until numbers and rows have found their places


@dataclass(frozen=True)
class Picture:
    name: str
    width: int
    height: int
    scheme: str
    address: str = f"/?site={demo.SITE}"


YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).date()
QUESTION = f"/ask?site={OLDER}&at={YESTERDAY}"
WANTED = (
    Picture("wall-dark", 1920, 1080, "dark"),
    Picture("wall-light", 1920, 1080, "light"),
    Picture("wall-phone", 390, 844, "light"),
    Picture("wall-kiosk", 1920, 1080, "dark", f"/?site={demo.SITE}&kiosk"),
    Picture("ask-light", 1920, 1080, "light", f"{QUESTION}&label=/projects/xdotool"),
    Picture("ask-dark", 1920, 1080, "dark", f"{QUESTION}&view=hits"),
)


def earlier(now: datetime) -> Iterator[list[Hit]]:
    """A batch of the older site's hits for every day, fewer at weekends, the same for the same day."""
    lines = list(demo.lines([demo.SAMPLE]))
    for day in range(DAYS, -1, -1):
        start = (now - timedelta(days=day)).replace(hour=0, minute=0, second=0, microsecond=0)
        chance = random.Random(start.timestamp())
        busy = (0.6 if start.weekday() > 4 else 1) * chance.uniform(0.8, 1.2) * (1.3 - day / DAYS / 2)
        seconds = sorted(chance.gauss(NOON, NOON / 3) % 86_400 for _ in range(int(DAILY * busy)))
        times = [start + timedelta(seconds=second) for second in seconds]
        hits = [hit(chance.choice(lines), at) for at in times if at < now]
        yield [replace(old, site=OLDER, title=titled(old.path)) for old in hits]


def titled(path: str) -> str:
    """A title for a page of a log that knows none."""
    name = path.rstrip("/").rpartition("/")[2].partition(".")[0]
    return name.replace("-", " ").replace("_", " ").capitalize() or "Front page"


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
        status=int(line.status or 0),
        bytes=int(line.bytes or 0),
        referrer=line.referrer,
    )


@contextmanager
def busy_service(folder: Path) -> Iterator[Service]:
    """Hitwall with a history, and visitors who come while it is open."""
    with RedisServer(folder) as server:
        redis = Redis.from_url(server.url)
        raw = RawLog(redis)
        now = datetime.now(UTC)
        for site, batches in ((demo.SITE, past(now)), (OLDER, earlier(now))):
            for position, batch in enumerate(batches):
                raw.append(site, batch, "history", position)
        service = Service(server.url, trusted_proxies="1", canary="2")
        counting = Counting.of(service.settings, redis)
        for site in (demo.SITE, OLDER):
            while counting.step(site).hits:
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
    page.goto(service.base + picture.address)
    page.wait_for_timeout(SETTLE)
    page.screenshot(path=PICTURES / f"{picture.name}.png", full_page=picture.width < 600)
    page.close()


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    chosen = [picture for picture in WANTED if not sys.argv[1:] or picture.name in sys.argv[1:]]
    with (
        tempfile.TemporaryDirectory() as folder,
        busy_service(Path(folder)) as service,
        open_chromium() as browser,
    ):
        for picture in chosen:
            take(browser, service, picture)
            print(f"docs/{picture.name}.png")


if __name__ == "__main__":
    main()
