"""The tracker script in a real browser, on a site of another origin."""

import gzip
from collections.abc import Iterator
from functools import partial
from itertools import count
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from redis import Redis

from hitwall.redis_server import RedisServer
from tests.browser.conftest import Site
from tests.service import ROOT, Service
from tests.waiting import until
from tracker.hit import Hit
from tracker.raw import START, RawLog

NUMBERS = count(1)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of these tests alone; each has a site of its own."""
    with RedisServer(tmp_path_factory.mktemp("script")) as server:
        yield server.url


@pytest.fixture
def redis(url: str) -> Iterator[Redis]:
    with Redis.from_url(url) as client:
        yield client


@pytest.fixture(scope="module")
def service(url: str) -> Iterator[Service]:
    """The web process, which all share; nothing needs to be counted."""
    started = Service(url, trusted_proxies="1")
    try:
        started.start("serve")
        yield started
    finally:
        started.stop()


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser profile of its own, empty at first."""
    context = chromium.new_context(locale="de-DE")
    yield context
    context.close()


def hits(redis: Redis, address: str, page: Page) -> list[Hit]:
    """Everything counted up to now. A beacon may overtake the one before it, but not two that wait."""
    for _ in range(2):
        last = f"the-end-{next(NUMBERS)}"
        page.evaluate("hitwall", last)
        until(partial(seen, redis, address, last))
    return [hit for hit in stored(redis, address) if not hit.event.startswith("the-end")]


def seen(redis: Redis, address: str, event: str) -> bool:
    return any(hit.event == event for hit in stored(redis, address))


def stored(redis: Redis, address: str) -> list[Hit]:
    """The raw log of the site at that address."""
    return [hit for _, hit in RawLog(redis).after(urlsplit(address).netloc, START, 1000) if hit]


def paths(redis: Redis, address: str, page: Page) -> list[str]:
    return [hit.path for hit in hits(redis, address, page)]


def test_a_page_is_counted_with_address_title_referrer_language_and_visitor(
    tracked: Site, visitor: BrowserContext, redis: Redis
) -> None:
    address = tracked('<a href="/second?x=1">next</a>')
    page = visitor.new_page()
    page.goto(address)
    page.click("a")
    page.wait_for_url("**/second?x=1")
    first, second = hits(redis, address, page)
    assert (first.path, first.title, first.referrer, first.source) == ("/", "Lighthouse", "", "pixel")
    assert (second.path, second.query, second.referrer) == ("/second", "x=1", f"{address}/")
    assert (second.language, second.width) == ("de-DE", 1280)
    assert "Chrome/" in second.agent
    assert first.bytes > 100
    cookies = {cookie["name"]: cookie["value"] for cookie in visitor.cookies(address)}
    assert first.visitor == second.visitor == cookies["_hitwall"]


def test_pushstate_back_and_hash_routes_count_once_a_page_and_replaced_addresses_and_anchors_do_not(
    tracked: Site, visitor: BrowserContext, redis: Redis
) -> None:
    address = tracked()
    page = visitor.new_page()
    page.goto(address)
    for script in (
        "history.pushState({}, '', '/a')",
        "history.pushState({}, '', '/a')",
        "history.replaceState({}, '', '/replaced')",
        "location.hash = 'section'",
        "location.hash = '#/route'",
        "history.pushState({}, '', '/b')",
        "history.back()",
    ):
        page.evaluate(script)
        page.evaluate("new Promise(done => setTimeout(() => requestAnimationFrame(done), 60))")
    assert paths(redis, address, page) == [
        "/",
        "/a",
        "/replaced#/route",
        "/b",
        "/replaced#/route",
    ]


def test_a_hidden_page_is_counted_when_it_becomes_visible(
    tracked: Site, visitor: BrowserContext, redis: Redis
) -> None:
    visitor.add_init_script("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    address = tracked()
    page = visitor.new_page()
    page.goto(address)
    assert [hit.path for hit in hits(redis, address, page)] == []
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: false});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    assert [hit.path for hit in hits(redis, address, page)] == ["/"]


@pytest.mark.parametrize(
    "missing",
    ["navigator.sendBeacon = undefined", "navigator.sendBeacon = () => false; window.fetch = undefined"],
    ids=["fetch instead of a beacon", "an image where there is neither"],
)
def test_hits_are_sent_without_a_beacon(
    tracked: Site, visitor: BrowserContext, redis: Redis, missing: str
) -> None:
    visitor.add_init_script(missing)
    address = tracked()
    page = visitor.new_page()
    page.goto(address)
    page.wait_for_load_state("networkidle")
    assert paths(redis, address, page) == ["/"]


def test_what_is_sent_stands_in_the_address_unless_that_would_be_too_long(
    tracked: Site, visitor: BrowserContext, redis: Redis
) -> None:
    address = tracked()
    page = visitor.new_page()
    sent: list[tuple[bool, bool]] = []  # whether address and body hold something
    page.on(
        "request", lambda r: sent.append(("?" in r.url, bool(r.post_data))) if "/a.gif" in r.url else None
    )
    page.goto(address)
    for title, target in (
        (100, f"/short?{'%C3%BC' * 99}"),
        (100, f"/long?{'x' * 3900}"),
        (512, f"/longer?{'y' * 3900}"),
    ):
        page.evaluate(f"document.title = '{'長' * title}', history.pushState({{}}, '', '{target}')")
        page.evaluate("new Promise(done => setTimeout(done))")
    by_path = {hit.path: hit for hit in hits(redis, address, page)}
    assert sent[:4] == [(True, False), (True, False), (True, False), (False, True)]
    assert len(by_path["/longer"].query) == 3900
    assert by_path["/longer"].title == "長" * 170  # 512 bytes


def test_automation_is_not_counted(tracked: Site, visitor: BrowserContext, redis: Redis) -> None:
    visitor.add_init_script("Object.defineProperty(navigator, 'webdriver', {value: true})")
    before = redis.keys("*:raw")
    address = tracked()
    page = visitor.new_page()
    page.goto(address)
    assert page.evaluate("typeof window.hitwall") == "undefined"
    assert visitor.cookies(address) == []
    assert redis.keys("*:raw") == before


def test_who_asks_not_to_be_tracked_gets_no_cookie_and_no_visitor(
    tracked: Site, visitor: BrowserContext, redis: Redis
) -> None:
    visitor.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    visitor.set_extra_http_headers({"Sec-GPC": "1"})
    address = tracked()
    page = visitor.new_page()
    page.goto(address)
    [hit] = hits(redis, address, page)
    assert (hit.visitor, hit.remote) == ("", "127.0.0.0")
    assert visitor.cookies(address) == []


def test_a_tag_that_stands_twice_counts_once_and_an_event_is_an_event(
    tracked: Site, visitor: BrowserContext, redis: Redis, service: Service
) -> None:
    address = tracked(f'<script defer src="{service.base}/a.js"></script>')
    page = visitor.new_page()
    page.goto(address)
    page.evaluate("hitwall('signup')")
    assert sorted(hit.event for hit in hits(redis, address, page)) == ["", "signup"]


def test_a_page_without_script_is_counted_by_its_image(
    tracked: Site, chromium: Browser, redis: Redis, service: Service
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    address = tracked(f'<noscript><img src="{service.base}/a.gif?url=https://plain.example/page"></noscript>')
    context.new_page().goto(address, wait_until="networkidle")
    [(_, hit)] = until(lambda: RawLog(redis).after("plain.example", START, 10))
    assert hit is not None
    assert hit.path == "/page"
    context.close()


@pytest.mark.parametrize(
    "oddity",
    [
        "document.addEventListener('readystatechange', () => document.title = 'cut \\ud83d')",
        "Object.defineProperty(Document.prototype, 'cookie', {get() { throw Error() }})",
        "delete window.crypto; performance.getEntriesByType = undefined",
    ],
    ids=["half a character in the title", "cookies forbidden", "neither crypto nor timing"],
)
def test_an_odd_page_is_counted_and_gets_no_error(
    tracked: Site, visitor: BrowserContext, redis: Redis, oddity: str
) -> None:
    visitor.add_init_script(oddity)
    address = tracked()
    page = visitor.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    assert paths(redis, address, page) == ["/"]
    assert errors == []


def test_a_page_whose_hitwall_is_down_works_all_the_same(
    tracked: Site, visitor: BrowserContext, service: Service
) -> None:
    address = tracked("<p id=text>still here</p>")
    page = visitor.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    service.kill("serve")
    try:
        page.goto(address)
        assert page.text_content("#text") == "still here"
        assert errors == []
    finally:
        service.start("serve")


def test_the_script_is_under_a_kilobyte() -> None:
    assert len(gzip.compress((ROOT / "static" / "a.js").read_bytes(), 9)) < 1000
