"""What the wall says of the service itself: how long a hit takes to the screen, and what waits on disk."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from redis import Redis

from tests.browser.stage import SITE, hang, shows, somebody
from tests.hits import hit
from tests.service import Service, running
from tracker import canary
from tracker.spool import Spool
from tracker.spooled import DOOR
from tracker.storage import Batch

PERIOD = 60  # seconds; the service's own first canary would come later than the test ends


@pytest.fixture
def quiet(redis: Redis, redis_url: str) -> Iterator[Service]:
    with running(redis_url, canary=str(PERIOD)) as service:
        service.hit()
        yield service


@pytest.mark.fault("Something breaks that nobody has thought of")
@pytest.mark.parametrize("kiosk", ["", "&kiosk"])
def test_the_last_canary_s_time_is_shown_while_it_is_news_and_then_that_none_came(
    quiet: Service, redis: Redis, chromium: Browser, kiosk: str
) -> None:
    with somebody(chromium) as person:
        wall = hang(person, quiet, f"?site={SITE}&bucket=month{kiosk}")
        shows(wall, 1)
        expect(wall.locator("#to-screen")).to_be_hidden()
        canary.came(redis, 0.1184, PERIOD, datetime.now(UTC))
        expect(wall.locator("#to-screen")).to_have_text("hit to screen 0.12 s")
        expect(wall.locator("#notes")).to_be_empty()
        canary.came(redis, 0.0041, PERIOD, datetime.now(UTC))
        expect(wall.locator("#to-screen")).to_have_text("hit to screen 0.01 s")
        canary.came(redis, 0.1184, PERIOD, datetime.now(UTC) - timedelta(minutes=4))
        expect(wall.locator("#notes")).to_contain_text("No test hit has come to the screen, since")
        expect(wall.locator("#to-screen")).to_be_hidden()


def test_hits_on_disk_are_told_with_their_size_and_since_when(quiet: Service, chromium: Browser) -> None:
    directory = Path(quiet.environ["HITWALL_DATA"]) / "spool"
    with closing(Spool(directory, DOOR)) as spool, somebody(chromium) as person:
        wall = hang(person, quiet)
        shows(wall, 1)
        at = datetime.now(UTC).replace(hour=0, minute=3)
        assert spool.append(Batch([hit("/" + "x" * 1_200_000, at=at)], "web-1", 1))
        said = "1.2 MB of hits wait on disk and will be counted, since 12:03\u202fAM."
        expect(wall.locator("#notes")).to_have_text(said)
        spool.oldest()
        spool.done()
        expect(wall.locator("#notes")).to_be_empty()
