"""How the wall looks, moves, speaks and waits, and the demo beside it, in a real browser."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect
from redis import Redis

from hitwall.redis_server import RedisServer
from tests.browser.stage import SOON, Visited, hang, shows, somebody
from tests.service import Service, running
from tests.waiting import until
from tracker import keys
from tracker.raw import START, RawLog

LABELS = 1440  # a counter's labels at most, as few as the settings allow
WALL: ViewportSize = {"width": 1920, "height": 1080}
PHONE: ViewportSize = {"width": 390, "height": 844}
NUMBERS = count(1)  # every test has a site of its own, so that all may share the processes
DEMO = ["", "history.html", "visit.html", "gallery.html", "log.html"]

Guest = Callable[..., BrowserContext]

# What is on the page before its own scripts are: counts what moves, and hides the tab at will.
WATCH = """
window.moved = 0;
const animate = Element.prototype.animate;
Element.prototype.animate = function (...how) { moved += 1; return animate.apply(this, how); };
addEventListener("transitionrun", () => { moved += 1; }, true);
window.away = false;
Object.defineProperty(document, "hidden", { get: () => away });
Object.defineProperty(document, "visibilityState", { get: () => (away ? "hidden" : "visible") });
window.turn = (hidden) => { away = hidden; document.dispatchEvent(new Event("visibilitychange")); };
"""

# Every text that is seen, with its size and its contrast against what lies behind it at three points.
TEXTS = """() => {
  const colour = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const mix = (top, a, below) => top.map((part, n) => part * a + below[n] * (1 - a));
  const light = (rgb) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb.map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (stack) => {
    const layers = [];
    for (const element of stack) {
      const style = getComputedStyle(element);
      const { rgb, a } = colour(style.backgroundColor);
      layers.unshift([rgb, a * Number(style.opacity)]);
    }
    return layers.reduce((below, [rgb, a]) => mix(rgb, a, below), [255, 255, 255]);
  };
  const texts = [];
  const look = (element, box, text) => {
    const seen = element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
    if (!seen || element.closest(".unseen, thead")) return;
    const style = getComputedStyle(element);
    const edge = element.getBoundingClientRect();
    const [left, right] = [Math.max(box.left, edge.left) + 1, Math.min(box.right, edge.right) - 1];
    const found = [left, (left + right) / 2, right].flatMap((x) => {
      const stack = document.elementsFromPoint(x, (box.top + box.bottom) / 2);
      if (!stack.includes(element)) return [];
      const ground = behind(stack);
      const { rgb, a } = colour(style.color);
      let alpha = a;
      for (let up = element; up; up = up.parentElement) alpha *= Number(getComputedStyle(up).opacity);
      return [ratio(mix(rgb, alpha, ground), ground)];
    });
    if (!found.length) return;
    const strong = element.closest(".numbers, .lists, .chart, .buckets, select") !== null;
    texts.push({ text, strong, size: parseFloat(style.fontSize), contrast: Math.min(...found) });
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (!node.data.trim() || ["OPTION", "SCRIPT", "NOSCRIPT"].includes(node.parentElement.nodeName)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    look(node.parentElement, range.getBoundingClientRect(), node.data.trim());
  }
  const list = document.querySelector("select");
  if (list) look(list, list.getBoundingClientRect(), list.value);
  return texts;
}"""

BOXES = """() => [".numbers > div", ".great", ".chart", ".plot", ".lists > table", ".lists tr", ".top tr > *"]
  .flatMap((name) => Array.from(document.querySelectorAll(name), (element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return [x, y, width, height];
  })).flat()"""

# Left and right end of what each great number shows, and of the room it has.
NUMBERS_ENDS = """() => Array.from(document.querySelectorAll(".great"), (element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  return [range.getBoundingClientRect().right, element.parentElement.getBoundingClientRect().right,
    parseFloat(getComputedStyle(element).fontSize)];
})"""

FOCUS = """() => {
  const at = document.activeElement;
  const ring = getComputedStyle(at.type === "radio" ? at.nextElementSibling : at);
  return [at.id || at.name || at.nodeName, ring.outlineStyle === "none" ? 0 : parseFloat(ring.outlineWidth)];
}"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of these tests alone."""
    with RedisServer(tmp_path_factory.mktemp("manners")) as server:
        yield server.url


@pytest.fixture(scope="module")
def service(url: str) -> Iterator[Service]:
    """Web process and counter; no test changes or ends them."""
    with running(url, max_labels=str(LABELS)) as started:
        yield started


@pytest.fixture
def another(url: str) -> Iterator[Callable[..., Service]]:
    """Another web process on the same Redis, with settings of its own."""
    with ExitStack() as stack:

        def start(**settings: str) -> Service:
            started = Service(url, **settings)
            stack.callback(started.stop)
            started.start("serve")
            return started

        yield start


@pytest.fixture
def site(url: str, service: Service) -> Iterator[Callable[[], Visited]]:
    """New sites, each with one hit of its front page, which is counted."""
    with Redis.from_url(url) as redis:

        def found() -> Visited:
            visited = Visited(f"site-{next(NUMBERS)}.example", RawLog(redis))
            assert service.hit(f"https://{visited.name}/").status == 200
            service.frame(1, visited.name, "month")
            return visited

        yield found


@pytest.fixture
def guest(chromium: Browser) -> Iterator[Guest]:
    """People with browsers of their own; options are those of a browser context."""
    with ExitStack() as stack:

        def come(**options: Any) -> BrowserContext:
            context = stack.enter_context(somebody(chromium, viewport=WALL, **options))
            context.add_init_script(WATCH)
            return context

        yield come


def event(frame: Any) -> str:
    return f"event:frame\ndata:{json.dumps(frame)}\n\n"


def plays(page: Page, *streams: str) -> None:
    """The wall's connections get these streams, one after the other, and then none."""
    left = list(streams)

    def answer(route: Any) -> None:
        if left:
            route.fulfill(content_type="text/event-stream", body=left.pop(0))
        else:
            route.abort()

    page.route("**/live?*", answer)


def stand_still(page: Page) -> None:
    """From now on the page's time goes only when the test lets it."""
    page.clock.install(time="2126-11-21T06:00:00Z")
    page.clock.pause_at("2126-11-21T06:00:01Z")


def theme(page: Page) -> str:
    """Light or dark, by what is seen."""
    colours = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    return "light" if sum(colours) > 384 else "dark"


def test_the_theme_follows_the_system_until_somebody_chooses_and_that_is_remembered(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    query = site().wall
    wall = hang(guest(color_scheme="dark"), service, query)
    assert theme(wall) == "dark"
    wall.emulate_media(color_scheme="light")
    expect(wall.locator("html")).to_have_attribute("data-theme", "light")
    assert theme(wall) == "light"
    wall.get_by_role("button", name="Dark").click()
    assert theme(wall) == "dark"
    wall.reload()
    assert theme(wall) == "dark"
    again = hang(wall.context, service, query)
    assert theme(again) == "dark"
    again.emulate_media(color_scheme="light")
    assert theme(again) == "dark"
    again.get_by_role("button", name="Light").click()  # the system's own: followed again
    assert theme(again) == "light"
    again.emulate_media(color_scheme="dark")
    expect(again.locator("html")).to_have_attribute("data-theme", "dark")
    assert theme(again) == "dark"


def legible(page: Page, least: int) -> None:
    """At least so many texts are seen, each far enough from what is behind it."""
    texts = page.evaluate(TEXTS)
    assert len(texts) >= least, texts
    faint = [text for text in texts if text["contrast"] < (7 if text["strong"] else 4.5)]
    assert faint == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(
    guest: Guest, service: Service, site: Callable[[], Visited], scheme: str
) -> None:
    visited = site()
    visited.visit([f"/page-{n % 12}" for n in range(40)], referrer="https://lobste.rs/")
    wall = hang(guest(color_scheme=scheme, reduced_motion="reduce"), service, visited.wall)
    shows(wall, 41)
    assert theme(wall) == scheme
    legible(wall, 50)
    soft = wall.evaluate("getComputedStyle(document.querySelector('#plot')).getPropertyValue('--soft')")
    caption = wall.locator("figcaption")
    caption.evaluate("(element, colour) => element.style.setProperty('color', colour)", soft)
    legible(wall, 50)  # the chart's own labels are drawn in that colour
    wall.keyboard.press("?")
    legible(wall, 9)
    wall.goto(f"{service.base}/?site=nobody-{scheme}.example")
    expect(wall.locator("#waiting")).to_be_visible(timeout=SOON)
    legible(wall, 10)


def test_frames_that_come_while_redis_is_gone_do_not_keep_a_wall_live(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    visited = site()
    frame = service.frame(1, visited.name, "month")
    frame["notes"] = [{"what": "redis", "since": frame["at"]}]
    later = datetime.fromisoformat(frame["at"]) + timedelta(seconds=10)
    wall = guest().new_page()
    stand_still(wall)
    plays(wall, event(frame) + event(frame | {"at": later.isoformat()}))
    wall.goto(f"{service.base}/{visited.wall}")
    shows(wall, 1)
    wall.clock.fast_forward(1_000)
    expect(wall.locator("body")).to_have_attribute("data-state", "stale", timeout=SOON)
    expect(wall.locator("#notes")).to_contain_text("Redis is gone; the numbers stand still, since")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_stale_numbers_are_dim_but_legible(
    guest: Guest, service: Service, site: Callable[[], Visited], scheme: str
) -> None:
    visited = site()
    frame = service.frame(1, visited.name, "month") | {"notes": [{"what": "redis"}]}
    wall = guest(color_scheme=scheme).new_page()
    stand_still(wall)
    plays(wall, event(frame))
    wall.goto(f"{service.base}/{visited.wall}")
    shows(wall, 1)
    expect(wall.locator("#notes")).to_have_text("Redis is gone; the numbers stand still.")
    before = {text["text"]: text["contrast"] for text in wall.evaluate(TEXTS)}
    ink = wall.evaluate("getComputedStyle(document.querySelector('#hits')).color")
    wall.clock.fast_forward(11_000)
    expect(wall.locator("#status")).to_contain_text("stale since")
    expect(wall.locator("#notes")).to_have_text("Hitwall does not answer; the wall keeps trying.")
    assert wall.evaluate("getComputedStyle(document.querySelector('#hits')).color") != ink
    texts = wall.evaluate(TEXTS)
    assert min(text["contrast"] for text in texts) >= 4.5
    dim = [text for text in texts if text["text"] == "visitors"]
    assert dim[0]["contrast"] < before["visitors"]
    assert wall.evaluate("getComputedStyle(document.querySelector('#plot')).opacity") == "1"  # it holds text


def test_numbers_count_up_without_overshoot_and_rows_move(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    visited = site()
    wall = hang(guest(), service, visited.wall)
    shows(wall, 1)
    still = wall.evaluate("moved")
    seen = counting(wall, visited)
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert wall.evaluate("moved") > still


def test_with_reduced_motion_nothing_moves_while_hits_come(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    visited = site()
    wall = hang(guest(reduced_motion="reduce"), service, visited.wall)
    shows(wall, 1)
    assert counting(wall, visited) == [501]
    for hits in range(502, 507):
        visited.visit([f"/{hits}"])
        shows(wall, hits)
        assert wall.evaluate("document.getAnimations().length") == 0
    assert wall.evaluate("moved") == 0


def counting(wall: Page, visited: Visited) -> list[int]:
    """What the great number shows one after the other while 500 hits come."""
    wall.evaluate(
        """() => { window.seen = []; const hits = document.getElementById("hits");
        new MutationObserver(() => seen.push(Number(hits.textContent.replace(",", ""))))
          .observe(hits, { childList: true, characterData: true, subtree: true }); }"""
    )
    visited.visit(f"/{n % 9}" for n in range(500))
    shows(wall, 501)
    seen = wall.evaluate("seen")
    assert isinstance(seen, list)
    return seen


def test_a_hidden_wall_does_nothing_and_is_right_at_once_on_return(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    visited, _ = site(), site()
    wall = hang(guest(), service, visited.wall)
    shows(wall, 1)
    expect(wall.locator("#voice")).not_to_be_empty()
    expect(wall.locator("#site option")).not_to_have_count(1)  # all have come; nothing is under way
    wall.evaluate(
        """() => { turn(true); window.changes = 0;
        const all = { subtree: true, childList: true, characterData: true, attributes: true };
        new MutationObserver((list) => { changes += list.length; }).observe(document.body, all); }"""
    )
    moved = wall.evaluate("moved")
    for hits in range(2, 5):
        visited.visit([f"/{hits}"])
        expect(wall).to_have_title(f"{hits} · {visited.name}")  # all that is seen of a hidden tab
    assert wall.evaluate("changes") == 0
    shown = wall.evaluate(
        """() => { turn(false);
        return [hits.textContent, document.querySelectorAll(".now tr:not(.blank) bdi").length]; }"""
    )
    assert shown == ["4", 8]
    assert wall.evaluate("moved") == moved


def test_a_kiosk_is_dark_unless_told_otherwise_and_has_nothing_to_operate(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    visited = site()
    kiosk = hang(guest(color_scheme="light"), service, f"{visited.wall}&kiosk")
    shows(kiosk, 1)
    assert theme(kiosk) == "dark"
    for _ in range(8):
        kiosk.keyboard.press("Tab")
        assert kiosk.evaluate("document.activeElement.nodeName") == "BODY"
    kiosk.goto(f"{service.base}/{visited.wall}&kiosk&theme=light")
    assert theme(kiosk) == "light"


def test_a_kiosks_cursor_goes_after_three_seconds_and_comes_back(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    kiosk = guest(reduced_motion="reduce").new_page()
    stand_still(kiosk)
    kiosk.goto(f"{service.base}/{site().wall}&kiosk")
    shows(kiosk, 1)
    expect(kiosk.locator("body")).to_have_css("cursor", "auto")
    kiosk.mouse.move(100, 100)
    kiosk.clock.run_for(2_900)
    expect(kiosk.locator("body")).to_have_css("cursor", "auto")
    kiosk.clock.run_for(200)
    for place in ("body", "#hits", "#plot"):
        expect(kiosk.locator(place)).to_have_css("cursor", "none")
    kiosk.mouse.move(200, 200)
    expect(kiosk.locator("body")).to_have_css("cursor", "auto")


def test_a_kiosk_shows_its_sites_in_turn(guest: Guest, service: Service, site: Callable[[], Visited]) -> None:
    first, second = site(), site()
    second.visit(["/a", "/b"])
    kiosk = guest(reduced_motion="reduce").new_page()
    stand_still(kiosk)
    kiosk.goto(f"{service.base}/?kiosk&bucket=month&every=30&sites={first.name},{second.name}")
    name = kiosk.get_by_role("heading", level=1)
    for visited, hits in ((first, 1), (second, 3), (first, 1), (second, 3)):
        expect(name).to_have_text(visited.name)
        shows(kiosk, hits)
        for _ in range(29):
            kiosk.clock.run_for(1_000)
        expect(name).to_have_text(visited.name)
        kiosk.clock.run_for(1_000)
    kiosk.keyboard.press("d")
    expect(kiosk.locator("#hits-name")).to_have_text("hits today")


def test_on_a_kiosk_the_smallest_text_has_18_pixels_and_great_numbers_96(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    visited = site()
    frame = service.frame(1, visited.name, "month")
    great = {"hits": 1_234_567, "visitors": 10_000, "active": 12_345, "rate": 1_234.5, "capped": ["visitor"]}
    kiosk = guest().new_page()
    plays(kiosk, event(frame | great))
    kiosk.goto(f"{service.base}/{visited.wall}&kiosk")
    expect(kiosk.locator("#visitors")).to_have_text("≥ 10,000", timeout=SOON)
    texts = kiosk.evaluate(TEXTS)
    assert len(texts) > 20
    assert min(text["size"] for text in texts) >= 17.99
    ends = kiosk.evaluate(NUMBERS_ENDS)
    assert len(ends) == 4
    for end, room, size in ends:
        assert size >= 96
        assert end <= room + 18  # half of the gap between two columns at most
    kiosk.unroute_all()
    kiosk.goto(f"{service.base}/?kiosk&site=nobody-{visited.name}")
    expect(kiosk.locator("#waiting")).to_be_visible(timeout=SOON)
    assert min(text["size"] for text in kiosk.evaluate(TEXTS)) >= 17.99


def test_every_key_does_what_the_list_of_keys_says(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    visited = site()
    wall = hang(guest(), service, visited.wall)
    shows(wall, 1)
    for key, span, name in (("d", "Day", "today"), ("h", "Hour", "this hour"), ("m", "Month", "this month")):
        wall.keyboard.press(key)
        expect(wall.get_by_label(span, exact=True)).to_be_checked()
        expect(wall.locator("#hits-name")).to_have_text(f"hits {name}")
    wall.keyboard.press("f")
    expect(wall.get_by_role("button", name="Leave full screen")).to_be_visible()
    wall.keyboard.press("f")
    expect(wall.get_by_role("button", name="Full screen", exact=True)).to_be_visible()
    help = wall.get_by_role("dialog", name="Keys")
    expect(help).to_be_hidden()
    wall.keyboard.press("?")
    expect(help).to_be_visible()
    for key in ("h", "d", "m", "s", "f", "?"):
        expect(help.get_by_role("rowheader").get_by_text(key, exact=True)).to_be_visible()
    wall.keyboard.press("d")  # what lies beneath is out of reach
    wall.keyboard.press("Escape")
    expect(help).to_be_hidden()
    expect(wall.locator("#hits-name")).to_have_text("hits this month")
    wall.get_by_role("button", name="Keys").click()
    help.get_by_role("button", name="Close").click()
    expect(help).to_be_hidden()
    wall.keyboard.press("s")
    expect(wall.get_by_label("Site")).to_be_focused()


def test_the_tab_key_reaches_everything_in_order_and_shows_where_it_is(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    wall = hang(guest(), service, site().wall)
    shows(wall, 1)
    reached = []
    for _ in range(5):
        wall.keyboard.press("Tab")
        name, ring = wall.evaluate(FOCUS)
        assert ring > 0, name
        reached.append(name)
    assert reached == ["site", "bucket", "theme", "full", "keys"]


def test_the_totals_are_said_at_most_once_a_minute(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    visited = site()
    wall = guest(reduced_motion="reduce").new_page()
    stand_still(wall)
    wall.goto(f"{service.base}/{visited.wall}")
    shows(wall, 1)
    voice = wall.locator("[aria-live=polite]")
    wall.clock.run_for(100)
    said = f"{visited.name}: %d hits this month, 0 visitors, 0 active now."
    expect(voice).to_have_text(said % 1)
    for hits in range(2, 16):
        visited.visit(["/"])
        shows(wall, hits)
        wall.clock.run_for(4_000)
        expect(voice).to_have_text(said % 1)
    wall.clock.run_for(4_000)
    expect(voice).to_have_text(said % 15)


def test_ten_rows_are_always_there_and_nothing_moves_when_numbers_grow(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    visited = site()
    wall = hang(guest(reduced_motion="reduce"), service, visited.wall)
    shows(wall, 1)
    lists = wall.locator(".lists table")
    expect(lists).to_have_count(6)
    for n in range(6):
        expect(lists.nth(n).locator("tbody tr")).to_have_count(10)
    boxes = wall.evaluate(BOXES)
    visited.visit([f"/{'long-' * (n % 30)}{n % 30}" for n in range(12_480)], referrer="https://lobste.rs/")
    shows(wall, 12_481)
    expect(wall).to_have_title(f"12,481 · {visited.name}")
    assert len(boxes) > 600
    assert wall.evaluate(BOXES) == pytest.approx(boxes, abs=0.5)  # pixels


@pytest.mark.parametrize("locale", ["en-US", "en-GB"])  # 2:03:21 PM takes more room than 14:03:21
def test_a_running_hit_without_referrer_has_all_the_room_for_its_page(
    guest: Guest, service: Service, site: Callable[[], Visited], locale: str
) -> None:
    visited = site()
    path = "/articles/why-we-count/2026"
    visited.visit([path], referrer="https://a-very-long-name-of-a-site-that-never-ends.example/")
    visited.visit([path])
    wall = hang(guest(reduced_motion="reduce", locale=locale), service, visited.wall)
    shows(wall, 3)
    whole = "(element) => element.scrollWidth <= element.clientWidth"
    rows = wall.get_by_role("table", name="Now").get_by_role("row")
    expect(rows.nth(1).get_by_role("cell").nth(1)).to_have_text(path)
    assert rows.nth(1).get_by_role("cell").nth(1).locator("bdi").evaluate(whole)
    referred = rows.nth(2).get_by_role("cell")
    widths = [cell.evaluate("(element) => element.clientWidth") for cell in referred.all()[1:]]
    assert widths[0] > widths[1] > 100


def test_labels_beyond_the_cap_are_one_row_in_italics_that_explains_itself(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    visited = site()
    visited.visit(f"/{n}" for n in range(1500))
    wall = hang(guest(), service, visited.wall)
    shows(wall, 1501)
    row = wall.locator("[data-summary=url] tbody tr", has_text="(other)")
    expect(row).to_have_count(1)
    expect(row.locator("td")).to_have_text(f"{1501 - LABELS}")
    expect(row.get_by_role("rowheader")).to_have_css("font-style", "italic")
    expect(row.get_by_role("rowheader")).to_have_attribute(
        "title",
        "There are more different labels than the wall keeps apart."
        " The rest counts together in this row, so totals stay exact.",
    )
    plain = wall.locator("[data-summary=url] tbody tr:not(.other) th").first
    expect(plain).to_have_css("font-style", "normal")


def test_a_second_wall_where_one_may_watch_says_so_and_gets_in_when_the_first_closes(
    guest: Guest, another: Callable[..., Service], service: Service, site: Callable[[], Visited]
) -> None:
    visited = site()
    small = another(streams="1")
    first = hang(guest(), small, visited.wall)
    shows(first, 1)
    second = guest().new_page()
    second.clock.install()
    second.goto(f"{small.base}/{visited.wall}")
    expect(second.locator("#notes")).to_contain_text("Too many are watching", timeout=SOON)
    expect(second.locator("#status")).to_have_text("full")
    first.close()

    def room() -> bool:
        visited.visit(["/"])  # only a write tells the server that the first has gone
        return small.get(f"/live?channel={visited.name}", "HEAD").status == 200

    until(room)
    second.clock.fast_forward(10_000)
    shows(second, 1 + visited.position)
    expect(second.locator("#notes")).to_be_empty()


def test_a_wall_that_is_refused_because_redis_is_gone_says_that(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    wall = guest().new_page()
    said = "Redis is out of reach; try again\n"
    wall.route("**/live?*", lambda route: route.fulfill(status=503, content_type="text/plain", body=said))
    wall.goto(f"{service.base}/{site().wall}")
    expect(wall.locator("#notes")).to_have_text("Redis is gone; the numbers stand still.", timeout=SOON)
    expect(wall.locator("#status")).to_have_text("reconnecting")


def test_a_wall_with_a_token_asks_for_it_and_opens_with_it(
    guest: Guest, another: Callable[..., Service], service: Service, site: Callable[[], Visited]
) -> None:
    visited = site()
    guarded = another(token="s3cret")
    person = guest()
    wall = hang(person, guarded, visited.wall)
    expect(wall.locator("body")).to_contain_text("needs its token")
    wall.goto(f"{guarded.base}/{visited.wall}&token=s3cret")
    shows(wall, 1)
    assert "s3cret" not in wall.url
    person.clear_cookies()
    wall.keyboard.press("d")
    expect(wall.locator("#notes")).to_contain_text("needs its token")
    expect(wall.locator("#status")).to_have_text("no access")


def test_three_hundred_frames_leave_no_node_and_no_listener_behind(
    guest: Guest, service: Service, site: Callable[[], Visited]
) -> None:
    visited = site()
    visited.visit(f"/{n}" for n in range(20))
    frame = service.frame(21, visited.name, "month")
    wall = guest().new_page()
    plays(
        wall,
        *(
            "".join(event(next_frame(frame, n)) for n in range(start, start + 100))
            for start in range(0, 400, 100)
        ),
    )
    tools = wall.context.new_cdp_session(wall)
    tools.send("Performance.enable")
    wall.goto(f"{service.base}/{visited.wall}")
    expect(wall.locator("#hits")).to_have_text(re.compile("^[1-3]20$"), timeout=SOON)  # a stream has ended
    before = held(tools)
    shows(wall, 21 + 399)  # it tries again by itself, a second or two apart
    assert wall.evaluate("moved") > 300  # rows did glow and slide
    after = held(tools)
    assert after["JSEventListeners"] <= before["JSEventListeners"]
    assert after["Nodes"] <= before["Nodes"] + 20


def next_frame(frame: Any, n: int) -> Any:
    """The frame n hits later: other ranks, another newest hit, another point of the chart."""
    urls = [[f"/{(n + row) % 15}", 100 + n - row, 0] for row in range(10)]
    recent = [
        {"at": frame["at"], "path": f"/{n}-{row}", "referrer": "lobste.rs"} for row in range(n, n - 10, -1)
    ]
    series = [*frame["series"][:-1], [frame["series"][-1][0], 21 + n]]
    return frame | {"hits": 21 + n, "top": frame["top"] | {"url": urls}, "recent": recent, "series": series}


def held(tools: Any) -> dict[str, int]:
    """What the page holds after its garbage was collected."""
    tools.send("HeapProfiler.enable")
    tools.send("HeapProfiler.collectGarbage")
    tools.send("HeapProfiler.collectGarbage")
    return {row["name"]: row["value"] for row in tools.send("Performance.getMetrics")["metrics"]}


def test_without_javascript_the_wall_says_what_it_needs_and_where_the_numbers_are(
    guest: Guest, service: Service
) -> None:
    wall = hang(guest(java_script_enabled=False), service, "")
    expect(wall.locator("noscript p").first).to_be_in_viewport()
    assert "needs JavaScript" in wall.locator("noscript p").first.inner_text()
    expect(wall.get_by_text("hits this hour")).to_be_hidden()
    expect(wall.get_by_role("button")).to_have_count(0)
    with wall.expect_response("**/api/sites") as answer:
        wall.get_by_role("link").click()
    assert answer.value.status == 200


@pytest.mark.parametrize("name", DEMO)
def test_a_demo_page_carries_the_tag_and_fits_light_and_dark_and_phone(
    guest: Guest, service: Service, name: str
) -> None:
    person = guest(color_scheme="light")
    page = person.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_request("**/a.gif*"):
        page.goto(f"{service.base}/demo/{name}")
    tag = page.locator("script[src$='a.js'][data-site='demo.example']")
    expect(tag).to_have_count(1)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert theme(page) == scheme
        legible(page, 8)
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for image in page.locator("img").all():
        assert image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    assert len(asked) >= 4
    assert [url for url in asked if not url.startswith(f"{service.base}/")] == []


def test_each_picture_of_the_demos_gallery_is_a_page(guest: Guest, service: Service, url: str) -> None:
    page = guest(user_agent="somebody in the gallery").new_page()
    with page.expect_request("**/a.gif*"):  # as slowly as somebody who looks at each
        page.goto(f"{service.base}/demo/gallery.html")
    pictures = page.get_by_role("listitem").get_by_role("link")
    expect(pictures).to_have_count(4)
    page.evaluate("window.same = true")
    for name in ("Noon", "Storm", "Night"):
        with page.expect_request("**/a.gif*"):
            pictures.filter(has_text=name).click()
        expect(page.locator("#caption")).to_contain_text(name)
    with page.expect_request("**/a.gif*"):
        page.go_back()
    expect(page.locator("#caption")).to_contain_text("Storm")
    assert page.evaluate("same")  # the page itself stayed
    with Redis.from_url(url) as redis:
        raw = RawLog(redis)

        def seen() -> list[tuple[str, str]]:
            hits = [hit for _, hit in raw.after("demo.example", START, 1000) if hit]
            return sorted((hit.path, hit.query) for hit in hits if hit.agent == "somebody in the gallery")

        views = ["", "view=night", "view=noon", "view=storm", "view=storm"]
        until(lambda: len(seen()) >= 5)
        assert seen() == [("/demo/gallery.html", view) for view in views]
        counted = keys.counter("demo.example", "hits", "url", "month:*")
        until(lambda: any(redis.hexists(key, "/demo/gallery.html") for key in redis.scan_iter(counted)))
