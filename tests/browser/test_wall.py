"""The wall in a real browser, on real processes."""

import gzip
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect
from redis import Redis

from hitwall.redis_server import RedisServer
from tests.browser.stage import SITE, SOON, hang, rows, shows, somebody
from tests.service import ROOT, Service, counted
from tests.waiting import until
from tracker import keys

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
    with visitor.expect_request("**/a.gif"):
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


def test_nothing_a_visitor_sends_runs_or_breaks_the_layout(person: BrowserContext, service: Service) -> None:
    for text in HOSTILE:
        fields = {"t": text, "ref": f"https://{text}.example/", "v": "visitor-1"}
        assert service.hit(f"https://{SITE}/{text}", **fields).status == 200, text
    wall = hang(person, service)
    shows(wall, len(HOSTILE))
    expect(wall).to_have_title(f"{len(HOSTILE)} · {SITE}")
    assert len(rows(wall, "url")) == len(HOSTILE)
    assert any("<script>" in row for row in rows(wall, "url"))
    assert wall.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("width", "height"),
    [(1920, 1080), (3840, 2160), (820, 1180), (390, 844)],
    ids=["hd", "4k", "tablet", "phone"],
)
def test_the_wall_fits_its_screen(person: BrowserContext, service: Service, width: int, height: int) -> None:
    service.hit()
    wall = hang(person, service)
    wall.set_viewport_size({"width": width, "height": height})
    shows(wall, 1)
    assert wall.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width >= 1920:
        assert wall.evaluate("document.documentElement.scrollHeight <= innerHeight")
        assert wall.evaluate("parseFloat(getComputedStyle(document.querySelector('#hits')).fontSize)") >= 96


def test_bucket_and_site_are_switched_by_key_and_by_hand(person: BrowserContext, service: Service) -> None:
    service.hit()
    for _ in range(3):
        service.hit("https://other.example/")
    wall = hang(person, service)
    shows(wall, 1)
    wall.keyboard.press("d")
    expect(wall.locator("#hits-name")).to_have_text("hits today")
    shows(wall, 1)
    wall.get_by_label("Site").select_option("other.example")
    shows(wall, 3)
    assert wall.url.endswith("?site=other.example&bucket=day")
    wall.get_by_label("Month").check()
    expect(wall.locator("#hits-name")).to_have_text("hits this month")
    shows(wall, 3)


@pytest.mark.parametrize("width", [320, 390, 1920])
def test_bots_are_told_beside_the_hits_and_not_among_them(
    person: BrowserContext, service: Service, width: int
) -> None:
    service.hit()
    wall = hang(person, service)
    wall.set_viewport_size({"width": width, "height": 844})
    shows(wall, 1)
    expect(wall.locator("#bots")).to_be_empty()
    for _ in range(2):
        service.get("/a.gif?url=https://example.com/", User_Agent=GOOGLEBOT)
    expect(wall.locator("#bots")).to_have_text("bots 2", timeout=SOON)
    expect(wall.locator("#hits-name")).to_have_text("hits this month")
    shows(wall, 1)
    assert wall.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_every_request_stays_at_home_and_the_page_is_light(person: BrowserContext, service: Service) -> None:
    service.hit()
    wall = person.new_page()
    seen: list[str] = []
    wall.on("request", lambda request: seen.append(request.url))
    wall.goto(f"{service.base}/?site={SITE}&bucket=month")
    shows(wall, 1)
    assert all(url.startswith(service.base) for url in seen)
    files = [
        ROOT / "static" / url.removeprefix(f"{service.base}/static/") for url in seen if "/static/" in url
    ]
    weight = sum(len(gzip.compress(file.read_bytes())) for file in [*files, ROOT / "static" / "wall.html"])
    assert len(files) > 5
    assert weight < 60_000


def test_the_kiosk_has_no_controls_and_the_script_tag_waits_for_the_first_hit(
    person: BrowserContext, service: Service
) -> None:
    waiting = hang(person, service, "?site=new.example")
    tag = f'<script defer src="{service.base}/a.js" data-site="new.example"></script>'
    expect(waiting.locator("#tag")).to_have_text(tag, timeout=SOON)
    service.hit("https://new.example/")
    kiosk = hang(person, service, "?kiosk&site=new.example&bucket=month")
    shows(kiosk, 1)
    expect(kiosk.get_by_role("button", name="Keys")).to_be_hidden()
    assert kiosk.evaluate(
        "getComputedStyle(document.body).colorScheme || document.documentElement.dataset.theme"
    )


def test_the_chart_has_a_table_and_every_list_a_caption(person: BrowserContext, service: Service) -> None:
    service.hit()
    wall = hang(person, service)
    shows(wall, 1)
    captions = wall.locator("table caption").all_text_contents()
    for name in ("Pages", "Referrers", "Browsers", "Languages", "Addresses", "Now"):
        assert name in captions
    assert wall.locator("#series tbody tr").count() >= 28
    assert wall.locator("html").get_attribute("lang") == "en"
