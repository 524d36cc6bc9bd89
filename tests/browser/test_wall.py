"""The wall in a real browser, on real processes."""

import gzip
import os
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect
from redis import Redis

from hitwall.redis_server import RedisServer
from tests.browser.stage import SITE, SOON, hang, rows, shows, somebody
from tests.service import ROOT, Service, counted, running
from tests.waiting import until
from tracker import keys

NUMBERS = count(1)  # every test has a site of its own, so that all may share the processes
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
HOSTILE = [
    "<script>document.title='run'</script>",
    "<img src=x onerror=\"document.title='run'\">",
    "\u202egnp.exe\u202c",
    "\u2028data:{}\u2029",
    "__proto__",
    "a" * 1500,
    "\u0130" * 300,
    "=cmd|'/c calc'!A1",
    "%1b[31mred",
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Web process and counter on a Redis of their own; no test changes or ends them."""
    with RedisServer(tmp_path_factory.mktemp("wall")) as server, running(server.url) as started:
        yield started


@pytest.fixture
def site() -> str:
    return f"site-{next(NUMBERS)}.example"


@pytest.fixture
def person(chromium: Browser) -> Iterator[BrowserContext]:
    with somebody(chromium) as person:
        yield person


def test_a_hit_on_a_demo_page_is_on_the_wall_and_in_redis_within_a_second(
    person: BrowserContext, service: Service, redis: Redis
) -> None:
    wall = hang(person, service, "?site=demo.example&bucket=month")
    expect(wall.locator("#waiting")).to_be_visible(timeout=SOON)
    visitor = person.new_page()
    visitor.goto(f"{service.base}/demo/")
    wall.bring_to_front()
    shows(wall, 1)  # the waiting page turned live by itself
    visitor.bring_to_front()
    link = visitor.locator("a[href$='.html']").first
    with visitor.expect_request("**/a.gif*"):
        link.click()
    until(lambda: sum(counted(redis, "url", "demo.example").values()) == 2, 1)
    wall.bring_to_front()
    expect(wall.locator("#hits")).to_have_text("2", timeout=1000)
    assert len(rows(wall, "url")) == 2


def test_the_wall_is_right_again_after_counter_web_and_redis_were_killed(
    person: BrowserContext, tmp_path: Path, free_port: int
) -> None:
    with RedisServer(tmp_path, free_port) as server:
        service = Service(server.url)
        try:
            service.start("count")
            service.start("serve")
            service.hit()
            wall = hang(person, service)
            shows(wall, 1)
            service.kill("count")
            service.hit()
            service.start("count")
            shows(wall, 2)
            service.kill("serve")
            expect(wall.locator("body")).to_have_attribute("data-state", "reconnecting", timeout=SOON)
            service.start("serve")
            service.hit()
            shows(wall, 3)
            os.kill(server.pid, signal.SIGKILL)
            expect(wall.locator("#notes")).to_contain_text("Redis", timeout=SOON)
            until(lambda: not server.alive())
            server.start()
            until(lambda: service.hit().status == 200)
            expect(wall.locator("#notes")).to_be_empty(timeout=SOON)
            with Redis.from_url(server.url) as redis:
                shows(wall, redis.xlen(keys.raw(SITE)))
            expect(wall.locator("body")).to_have_attribute("data-state", "live")
        finally:
            service.stop()


def test_a_wall_cut_off_for_long_says_since_when_and_comes_back(
    person: BrowserContext, service: Service
) -> None:
    service.hit()
    wall = hang(person, service)
    shows(wall, 1)
    service.kill("serve")
    expect(wall.locator("#status")).to_contain_text("stale since", timeout=15_000)
    shows(wall, 1)
    service.start("serve")
    service.hit()
    expect(wall.locator("#status")).to_contain_text("live", timeout=35_000)
    shows(wall, 2)


def test_nothing_a_visitor_sends_runs_or_breaks_the_layout(
    person: BrowserContext, shared: Service, site: str
) -> None:
    for text in HOSTILE:
        fields = {"t": text, "ref": f"https://{text}.example/", "v": "visitor-1"}
        assert shared.hit(f"https://{site}/{text}", **fields).status == 200, text
    wall = hang(person, shared, f"?site={site}&bucket=month")
    shows(wall, len(HOSTILE))
    expect(wall).to_have_title(f"{len(HOSTILE)} · {site}")
    assert len(rows(wall, "url")) == len(HOSTILE)
    assert any("<script>" in row for row in rows(wall, "url"))
    assert wall.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("width", "height"),
    [(1920, 1080), (3840, 2160), (820, 1180), (390, 844)],
    ids=["hd", "4k", "tablet", "phone"],
)
def test_the_wall_fits_its_screen(
    person: BrowserContext, shared: Service, site: str, width: int, height: int
) -> None:
    shared.hit(f"https://{site}/")
    wall = hang(person, shared, f"?site={site}&bucket=month")
    wall.set_viewport_size({"width": width, "height": height})
    shows(wall, 1)
    assert wall.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width >= 1920:
        assert wall.evaluate("document.documentElement.scrollHeight <= innerHeight")
        assert wall.evaluate("parseFloat(getComputedStyle(document.querySelector('#hits')).fontSize)") >= 96


def test_bucket_and_site_are_switched_by_key_and_by_hand(
    person: BrowserContext, shared: Service, site: str
) -> None:
    other = f"other.{site}"
    shared.hit(f"https://{site}/")
    for _ in range(3):
        shared.hit(f"https://{other}/")
    until(lambda: f'"{other}"'.encode() in shared.get("/api/sites").body)  # the list may be a second old
    wall = hang(person, shared, f"?site={site}&bucket=month")
    shows(wall, 1)
    wall.keyboard.press("d")
    expect(wall.locator("#hits-name")).to_have_text("hits today")
    shows(wall, 1)
    wall.get_by_label("Site").select_option(other)
    shows(wall, 3)
    assert wall.url.endswith(f"?site={other}&bucket=day")
    wall.get_by_label("Month").check()
    expect(wall.locator("#hits-name")).to_have_text("hits this month")
    shows(wall, 3)


@pytest.mark.parametrize("width", [320, 390, 1920])
def test_bots_are_told_beside_the_hits_and_not_among_them(
    person: BrowserContext, shared: Service, site: str, width: int
) -> None:
    shared.hit(f"https://{site}/")
    wall = hang(person, shared, f"?site={site}&bucket=month")
    wall.set_viewport_size({"width": width, "height": 844})
    shows(wall, 1)
    expect(wall.locator("#bots")).to_be_empty()
    for _ in range(2):
        shared.get(f"/a.gif?url=https://{site}/", User_Agent=GOOGLEBOT)
    expect(wall.locator("#bots")).to_have_text("bots 2", timeout=SOON)
    expect(wall.locator("#hits-name")).to_have_text("hits this month")
    shows(wall, 1)
    assert wall.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_every_request_stays_at_home_and_the_page_is_light(
    person: BrowserContext, shared: Service, site: str
) -> None:
    shared.hit(f"https://{site}/")
    wall = person.new_page()
    seen: list[str] = []
    wall.on("request", lambda request: seen.append(request.url))
    wall.goto(f"{shared.base}/?site={site}&bucket=month")
    shows(wall, 1)
    assert all(url.startswith(shared.base) for url in seen)
    files = [
        ROOT / "static" / url.removeprefix(f"{shared.base}/static/") for url in seen if "/static/" in url
    ]
    weight = sum(len(gzip.compress(file.read_bytes())) for file in [*files, ROOT / "static" / "wall.html"])
    assert len(files) > 5
    assert weight < 60_000


def test_the_kiosk_has_no_controls_and_the_script_tag_waits_for_the_first_hit(
    person: BrowserContext, shared: Service, site: str
) -> None:
    waiting = hang(person, shared, f"?site={site}")
    tag = f'<script defer src="{shared.base}/a.js" data-site="{site}"></script>'
    expect(waiting.locator("#tag")).to_have_text(tag, timeout=SOON)
    shared.hit(f"https://{site}/")
    kiosk = hang(person, shared, f"?kiosk&site={site}&bucket=month")
    shows(kiosk, 1)
    expect(kiosk.get_by_role("button", name="Keys")).to_be_hidden()
    assert kiosk.evaluate(
        "getComputedStyle(document.body).colorScheme || document.documentElement.dataset.theme"
    )


def test_the_chart_has_a_table_and_every_list_a_caption(
    person: BrowserContext, shared: Service, site: str
) -> None:
    shared.hit(f"https://{site}/")
    wall = hang(person, shared, f"?site={site}&bucket=month")
    shows(wall, 1)
    captions = wall.locator("table caption").all_text_contents()
    for name in ("Pages", "Referrers", "Browsers", "Languages", "Addresses", "Now"):
        assert name in captions
    assert wall.locator("#series tbody tr").count() >= 28
    assert wall.locator("html").get_attribute("lang") == "en"
