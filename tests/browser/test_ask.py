"""The page of questions in a real browser, on real processes."""

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, ViewportSize, expect
from redis import Redis

from hitwall.redis_server import RedisServer
from tests.browser.stage import SOON, somebody
from tests.browser.test_wall_manners import legible, theme
from tests.hits import FIREFOX
from tests.service import ROOT, Service, running
from tests.waiting import until
from tracker.hit import Hit
from tracker.raw import RawLog

NOON = datetime(2024, 3, 10, 12, 0, tzinfo=UTC)  # a Sunday long ago: no test hangs on the clock
DAY = "2024-03-10"
NUMBERS = count(1)  # every test has a site of its own, so that all may share the processes
SCREEN: ViewportSize = {"width": 1920, "height": 1080}
PHONE: ViewportSize = {"width": 390, "height": 844}
HOSTILE = [
    "/<script>document.title='run'</script>",
    "/<img src=x onerror=\"document.title='run'\">",
    "/\u202egnp.exe\u202c",
    "/\u2028data:{}\u2029",
    "/../../x?label=y&page=9#z",
    "//evil.example/",
    "/" + "a" * 500,
    "/" + "\u0130" * 250,
    "=cmd|'/c calc'!A1",
    "javascript:document.title='run'",
    "/\u0646\u0635 100%25",
]

Guest = Callable[..., BrowserContext]


@dataclass
class Past:
    """A site whose hits are of a time long ago."""

    name: str
    raw: RawLog
    service: Service
    position: int = 0
    hits: int = 0

    def had(self, paths: Iterable[str], at: datetime = NOON, **fields: Any) -> "Past":
        """One hit of each path, a second apart, counted on return."""
        common: dict[str, Any] = {"agent": FIREFOX, "remote": "203.0.113.7", "language": "en", **fields}
        hits = [
            Hit(at=at + timedelta(seconds=n), site=self.name, path=path, source="api", **common)
            for n, path in enumerate(paths)
        ]
        self.position += 1
        self.hits += len(hits)
        assert self.raw.append(self.name, hits, "past", self.position) == len(hits)
        until(lambda: self.counted() == self.hits)
        return self

    def counted(self) -> int:
        answer = self.service.get(f"/api/{self.name}/summaries/server?bucket=month&from=2024-02&to=2024-04")
        return int(json.loads(answer.body).get("hits", 0))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of these tests alone."""
    with RedisServer(tmp_path_factory.mktemp("ask")) as server:
        yield server.url


@pytest.fixture(scope="module")
def service(url: str) -> Iterator[Service]:
    """Web process and counter that keep old hours and days; no test changes or ends them."""
    with running(url, keep_hour="0", keep_day="0") as started:
        yield started


@pytest.fixture
def past(url: str, service: Service) -> Iterator[Past]:
    with Redis.from_url(url) as redis:
        yield Past(f"past-{next(NUMBERS)}.example", RawLog(redis), service)


@pytest.fixture
def guest(chromium: Browser) -> Iterator[Guest]:
    """People with browsers of their own; options are those of a browser context."""
    with ExitStack() as stack:

        def come(**options: Any) -> BrowserContext:
            return stack.enter_context(somebody(chromium, **{"viewport": SCREEN, **options}))

        yield come


def ask(person: BrowserContext, past: Past, query: str = f"at={DAY}") -> Page:
    """The page with the answer on it."""
    page = person.new_page()
    page.goto(f"{past.service.base}/ask?site={past.name}&{query}")
    expect(page.locator("#answer")).to_be_visible(timeout=SOON)
    return page


def table(page: Page) -> list[list[str]]:
    """What the rows of the list say: label, hits, share, bytes."""
    rows = page.locator("#labels tbody tr").all()
    return [[*row.locator("bdi").all_inner_texts(), *row.locator("td").all_inner_texts()] for row in rows]


def labels(page: Page) -> list[str]:
    return page.locator("#labels tbody bdi").all_inner_texts()


def points(page: Page) -> dict[str, str]:
    """The chart as its table has it: time -> hits, where there were any."""
    rows = page.locator("#series tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [row.cells[0].textContent, row.cells[1].textContent])"
    )
    return {time: hits for time, hits in rows if hits != "0"}


def test_the_page_shows_what_was_counted(guest: Guest, past: Past) -> None:
    past.had(["/a"] * 3 + ["/b"], bytes=1000).had(["/a"] * 5, NOON - timedelta(days=1), bytes=500)
    page = ask(guest(), past)
    assert table(page) == [["/a", "3", "75.0%", "3 kB"], ["/b", "1", "25.0%", "1 kB"]]
    expect(page.locator("#hits")).to_have_text("4")
    expect(page.locator("#distinct")).to_have_text("2")
    expect(page.locator("#bytes")).to_have_text("4 kB")
    expect(page.locator("#hits-against")).to_have_text("▼ down 20% on the day before (5)")
    expect(page.locator("#distinct-against")).to_have_text("▲ up 100% on the day before (1)")
    expect(page.locator("#span")).to_have_text("Sunday, March 10, 2024, UTC")
    expect(page).to_have_title(f"Pages · Sunday, March 10, 2024, UTC · {past.name}")
    expect(page.locator("#state")).to_contain_text("counted up to")
    expect(page.locator("#notes")).to_be_empty()


def test_every_summary_can_be_chosen_and_says_what_it_counts(
    guest: Guest, past: Past, service: Service
) -> None:
    page = ask(guest(), past.had(["/a"], title="Lighthouse", status=200))
    known = json.loads(service.get(f"/api/{past.name}/summaries").body)["summaries"]
    radios = page.locator("input[name=summary]")
    names = [radio.get_attribute("value") for radio in radios.all()]
    assert sorted(filter(None, names)) == [row["name"] for row in known]
    about = {row["name"]: row["description"] for row in known}
    for name, label in (("title", "Lighthouse"), ("ip", "203.0.113.7"), ("browser", "Firefox 140")):
        page.locator(f"input[value={name}]").check()
        expect(page.locator("#description")).to_have_text(about[name])
        expect(page.locator("#labels tbody bdi")).to_have_text([label])
        assert f"summary={name}" in page.url


def test_hour_day_month_and_several_of_them_are_what_the_api_says(guest: Guest, past: Past) -> None:
    past.had(["/a"] * 2).had(["/a"], NOON - timedelta(hours=3)).had(["/b"], NOON + timedelta(days=2))
    page = ask(guest(), past)
    hits = page.locator("#hits")
    expect(hits).to_have_text("3")
    page.get_by_label("Month", exact=True).check()
    expect(hits).to_have_text("4")
    expect(page.locator("#span")).to_have_text("March 2024, UTC")
    page.get_by_label("Day", exact=True).first.check()
    page.locator("#at").fill(DAY)
    expect(hits).to_have_text("3")
    page.get_by_label("Hour", exact=True).first.check()
    expect(page.locator("#nothing")).to_have_text("Nothing was counted here in this time.")
    page.locator("#at").fill(f"{DAY}T12:00")
    expect(hits).to_have_text("2")
    expect(page.locator("#span")).to_have_text(re.compile(r"Sun, March 10, 2024, 12:00.*1:00.PM, UTC"))
    page.get_by_role("link", name="Earlier").click()
    expect(hits).to_have_text("0")
    page.get_by_role("link", name="Later").click()
    expect(hits).to_have_text("2")
    page.get_by_label("Several hours").check()
    expect(page.locator("#to")).to_have_value(f"{DAY}T12:00")
    expect(hits).to_have_text("3")  # 24 hours
    page.get_by_label("Day", exact=True).check()
    page.locator("#to").fill("2024-03-12")
    expect(hits).to_have_text("4")
    assert page.url.endswith("&from=2024-03-09&to=2024-03-12")
    page.get_by_role("link", name="Earlier").click()
    expect(hits).to_have_text("0")
    assert page.url.endswith("&from=2024-03-05&to=2024-03-08")


def test_a_click_on_a_label_shows_it_over_time_and_a_click_on_a_bar_its_time(
    guest: Guest, past: Past
) -> None:
    past.had(["/a"] * 3 + ["/b"]).had(["/a", "/b", "/b"], NOON - timedelta(days=9))
    page = ask(guest(), past)
    expect(page.locator("#chart-name")).to_have_text("Hits a day, all hits")
    expect(page.locator("#plot canvas")).to_be_visible()
    assert points(page) == {"Friday, March 1, 2024": "3", "Sunday, March 10, 2024": "4"}
    page.get_by_role("link", name="/b").click()
    expect(page.locator("#chart-name")).to_have_text("Hits a day, /b")
    expect(page.get_by_role("link", name="/b")).to_have_attribute("aria-current", "true")
    expect(page.get_by_role("link", name="/b")).to_be_focused()
    assert points(page) == {"Friday, March 1, 2024": "2", "Sunday, March 10, 2024": "1"}
    bars = page.locator("#plot .u-over")
    bars.hover(position={"x": 2, "y": 40})  # the first of 31 days, for nothing happened in February
    expect(page.locator("#chart-point")).to_have_text("Friday, March 1, 2024: 2 hits")
    bars.click(position={"x": 2, "y": 40})
    expect(page.locator("#span")).to_have_text("Friday, March 1, 2024, UTC")
    assert [row[:2] for row in table(page)] == [["/b", "2"], ["/a", "1"]]
    page.get_by_role("link", name="Show all hits").click()
    expect(page.locator("#chart-name")).to_have_text("Hits a day, all hits")


def test_labels_are_sorted_searched_and_turned_in_pages_of_fifty(guest: Guest, past: Past) -> None:
    paths = [f"/page-{n:03}" for n in range(120)]
    past.had([*paths, *["/page-007"] * 9]).had(["/page-110"], bytes=5_000_000)
    page = ask(guest(), past)
    assert labels(page)[0] == "/page-007"
    expect(page.locator("#page")).to_have_text("1\u201350 of 120")
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#page")).to_have_text("51\u2013100 of 120")
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#labels tbody tr")).to_have_count(20)
    expect(page.get_by_role("link", name="Next")).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_role("link", name="Next")).to_be_focused()
    assert page.locator("#labels thead").evaluate("(head) => head.getBoundingClientRect().top >= 0")
    page.get_by_role("link", name="Bytes", exact=True).click()
    expect(page.locator("#page")).to_have_text("1\u201350 of 120")
    assert labels(page)[0] == "/page-110"
    expect(page.locator("#chart-name")).to_have_text("Bytes a day, all hits")
    page.get_by_role("link", name="Page", exact=True).click()
    expect(page.locator("#labels th").first).to_have_attribute("aria-sort", "ascending")
    assert labels(page) == [f"/page-{n:03}" for n in range(50)]
    page.get_by_role("searchbox").press_sequentially("GE-11")
    expect(page.locator("#matching")).to_have_text("10 found")
    assert labels(page) == [f"/page-{n}" for n in range(110, 120)]
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.get_by_role("searchbox").fill("nowhere")
    expect(page.locator("#nothing")).to_have_text("No label holds “nowhere”.")


def test_the_address_is_the_question_so_back_forward_and_sharing_work(guest: Guest, past: Past) -> None:
    past.had([f"/{n:03}" for n in range(60)])
    person = guest()
    page = ask(person, past, f"at={DAY}&order=label")
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#labels tbody tr")).to_have_count(10)
    page.get_by_role("link", name="/055").click()
    expect(page.locator("#chart-name")).to_have_text("Hits a day, /055")
    page.locator("input[value=language]").check()
    expect(page.locator("#labels tbody bdi")).to_have_text(["en"])
    page.go_back()
    expect(page.locator("#chart-name")).to_have_text("Hits a day, /055")
    expect(page.get_by_role("link", name="/055")).to_have_attribute("aria-current", "true")
    expect(page.locator("input[value=url]")).to_be_checked()
    page.go_back()
    page.go_back()
    expect(page.locator("#page")).to_have_text("1\u201350 of 60")
    page.go_forward()
    expect(page.locator("#page")).to_have_text("51\u201360 of 60")
    shared = person.new_page()
    shared.goto(page.url)
    expect(shared.locator("#page")).to_have_text("51\u201360 of 60")
    assert labels(shared) == labels(page)
    with person.expect_page() as opened:
        page.get_by_role("link", name="/051").click(modifiers=["ControlOrMeta"])
    expect(opened.value.locator("#chart-name")).to_have_text("Hits a day, /051")


def test_a_search_is_one_step_back_however_it_was_typed(guest: Guest, past: Past) -> None:
    page = ask(guest(), past.had(["/alpha", "/beta"]))
    for letter in "alph":
        page.get_by_role("searchbox").press(letter)
        expect(page).to_have_url(re.compile(f"search=[alph]*{letter}$"))
    expect(page.locator("#labels tbody bdi")).to_have_text(["/alpha"])
    page.go_back()
    expect(page.locator("#labels tbody bdi")).to_have_text(["/alpha", "/beta"])


def test_raw_hits_are_listed_newest_first_with_older_ones_behind_and_each_opens_whole(
    guest: Guest, past: Past
) -> None:
    past.had([f"/{n}" for n in range(70)], title="Lighthouse", referrer="https://lobste.rs/s/1", status=200)
    page = ask(guest(), past)
    page.get_by_label("Hits", exact=True).check()
    rows = page.locator("#log tbody tr")
    expect(rows).to_have_count(50)
    said = rows.first.locator("bdi").all_inner_texts()
    assert said == ["/69", "Lighthouse", "https://lobste.rs/s/1", "Firefox 140", "203.0.113.7", "200", ""]
    expect(rows.first.get_by_role("button")).to_have_text("12:01:09\u202fPM")
    rows.first.get_by_role("button").press("Enter")
    expect(rows.first.get_by_role("button")).to_have_attribute("aria-expanded", "true")
    whole = json.loads(page.locator("pre").inner_text())
    assert whole["path"] == "/69"
    assert whole["agent"] == FIREFOX
    rows.first.get_by_role("button").press("Enter")
    expect(page.locator("pre")).to_have_count(0)
    page.get_by_role("link", name="Older").click()
    expect(rows).to_have_count(20)
    expect(rows.last.locator("bdi").first).to_have_text("/0")
    expect(page.get_by_role("link", name="Older")).to_have_attribute("aria-disabled", "true")
    page.get_by_role("link", name="Newest").click()
    expect(rows.first.locator("bdi").first).to_have_text("/69")
    page.go_back()
    expect(rows).to_have_count(20)


def test_raw_hits_are_found_behind_many_newer_ones(guest: Guest, past: Past) -> None:
    past.had(["/old-1", "/old-2"]).had(["/new"] * 10_100, NOON + timedelta(days=1))
    page = ask(guest(), past, f"at={DAY}&view=hits")
    expect(page.locator("#log tbody td.path bdi")).to_have_text(["/old-2", "/old-1"])
    expect(page.get_by_role("link", name="Older")).to_have_attribute("aria-disabled", "true")
    with page.expect_download() as file:
        page.get_by_role("link", name="NDJSON", exact=True).click()
    assert len(file.value.path().read_text().splitlines()) == 2


def test_what_is_shown_can_be_downloaded(guest: Guest, past: Past) -> None:
    past.had(["/a", "/a", "/b"], bytes=10)
    page = ask(guest(), past, f"at={DAY}&search=/")
    with page.expect_download() as file:
        page.get_by_role("link", name="CSV", exact=True).click()
    rows = list(csv.DictReader(io.StringIO(file.value.path().read_text())))
    assert [(row["label"], row["hits"], row["bytes"]) for row in rows] == [
        ("/a", "2", "20"),
        ("/b", "1", "10"),
    ]
    with page.expect_download() as file:
        page.get_by_role("link", name="JSON", exact=True).click()
    assert json.loads(file.value.path().read_text())["matching"] == 2
    page.get_by_label("Hits", exact=True).check()
    expect(page.locator("#log tbody tr")).to_have_count(3)
    with page.expect_download() as file:
        page.get_by_role("link", name="NDJSON", exact=True).click()
    assert len(file.value.path().read_text().splitlines()) == 3


@pytest.mark.parametrize("size", [SCREEN, PHONE], ids=["screen", "phone"])
def test_nothing_a_visitor_sends_runs_or_breaks_the_layout(
    guest: Guest, past: Past, size: ViewportSize
) -> None:
    for text in HOSTILE:
        past.had([text], title=text, referrer=text, agent=text, remote=text[:60], language="x")
    page = ask(guest(viewport=size), past)
    assert len(labels(page)) == len(HOSTILE)
    assert any("<script>" in label for label in labels(page))
    for n in range(len(HOSTILE)):
        page.locator("#labels tbody a").nth(n).click()
        expect(page.locator("#labels tbody a").nth(n)).to_have_attribute("aria-current", "true")
        expect(page.locator("#series tbody tr").nth(9)).to_contain_text("1")  # its own series, of that day
        assert page.url.startswith(f"{past.service.base}/ask?")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_label("Hits", exact=True).check()
    buttons = page.locator("#log tbody button")
    expect(buttons).to_have_count(len(HOSTILE))
    for button in buttons.all():
        button.click()
    expect(page.locator("pre")).to_have_count(len(HOSTILE))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.title() != "run"


@pytest.mark.parametrize("width", [320, 390, 820, 1280, 1920, 3840])
def test_no_width_makes_the_page_scroll_sideways(guest: Guest, past: Past, width: int) -> None:
    past.had([f"/{'long-' * n}{n}" for n in range(60)], bytes=123_456_789, title="Lighthouse " * 9)
    person = guest(viewport={"width": width, "height": 844})
    for query in (f"at={DAY}", "bucket=month&from=2024-02&to=2024-03", f"at={DAY}&view=hits", "bucket=hour"):
        page = ask(person, past, query)
        if "view" in query:
            page.locator("#log tbody button").first.click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), query


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_and_the_theme_is_that_of_the_wall(
    guest: Guest, past: Past, scheme: str
) -> None:
    past.had([f"/page-{n % 12}" for n in range(40)], title="Lighthouse", bytes=10, status=200)
    person = guest(color_scheme=scheme)
    page = ask(person, past, f"at={DAY}&label=/page-1")
    assert theme(page) == scheme
    legible(page, 60)
    page.get_by_label("Hits", exact=True).check()
    expect(page.locator("#log tbody tr")).to_have_count(40)
    legible(page, 100)
    page.goto(f"{past.service.base}/ask?site=nobody.example")
    expect(page.locator("#notes")).not_to_be_empty()
    legible(page, 5)
    page.get_by_role("button", name=re.compile("Dark|Light")).click()
    assert theme(page) != scheme
    page.goto(f"{past.service.base}/?site={past.name}")
    assert theme(page) != scheme


def test_everything_is_reached_by_keyboard_and_keeps_the_focus(guest: Guest, past: Past) -> None:
    page = ask(guest(), past.had([f"/{n:03}" for n in range(60)]))
    reached = []
    for _ in range(24):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
    order = ["site", "view", "wall", "theme", "bucket", "earlier", "at", "later", "range", "running"]
    order += ["summary", "search", "by-label", "by-hits", "by-bytes"]
    places = [reached.index(name) for name in order]
    assert places == sorted(places)
    page.locator("#by-label").press("Enter")
    expect(page.locator("#labels th").first).to_have_attribute("aria-sort", "ascending")
    expect(page.locator("#by-label")).to_be_focused()
    page.locator("#by-bytes").press("Enter")
    expect(page.locator("#labels thead th").last).to_have_attribute("aria-sort", "descending")
    page.locator("input[value=url]").press("ArrowDown")
    expect(page.locator("#name")).to_have_text("Titles")
    expect(page.locator("input[value=title]")).to_be_focused()


def test_tables_have_captions_and_headers_and_the_answer_is_announced(guest: Guest, past: Past) -> None:
    page = ask(guest(), past.had(["/a"]))
    captions = page.locator("#answer table caption").all_text_contents()
    assert captions[0] == "Hits a day, all hits"
    assert captions[1].startswith("Pages")
    assert page.get_by_role("columnheader").all_inner_texts()[-4:] == ["Page", "Hits", "Share", "Bytes"]
    expect(page.locator("[aria-live=polite]")).to_have_text("Pages, Sunday, March 10, 2024, UTC: 1 hit.")
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_role("heading", level=1).count() == 1


def test_what_the_api_refuses_is_said_and_no_old_number_stays(guest: Guest, past: Past) -> None:
    page = ask(guest(), past.had(["/a"]))
    page.goto(f"{past.service.base}/ask?site=nobody.example")
    expect(page.locator("#notes")).to_contain_text("nobody.example")
    expect(page.locator("#answer")).to_be_hidden()
    page.goto(f"{past.service.base}/ask?site={past.name}&summary=nothing")
    expect(page.locator("#notes")).to_contain_text("nothing")
    page.goto(f"{past.service.base}/ask?site={past.name}&bucket=hour&from=2020-01-01T00&to=2024-01-01T00")
    expect(page.locator("#notes")).to_contain_text("at most")
    page.locator("input[value=month]").check()
    expect(page.locator("#answer")).to_be_visible()
    expect(page.locator("#notes")).to_be_empty()


def test_a_server_that_is_away_or_without_redis_is_said(guest: Guest, past: Past) -> None:
    page = ask(guest(), past.had(["/a"]))
    page.route("**/api/**", lambda route: route.abort())
    page.locator("input[value=ip]").check()
    expect(page.locator("#notes")).to_contain_text("does not answer")
    expect(page.locator("#answer")).to_be_hidden()
    page.unroute_all()
    said = json.dumps({"title": "Service Unavailable", "status": 503, "detail": "Redis is out of reach."})
    problem = {"status": 503, "content_type": "application/problem+json", "body": said}
    page.route("**/api/**", lambda route: route.fulfill(**problem))
    page.locator("input[value=browser]").check()
    expect(page.locator("#notes")).to_have_text("Redis is out of reach.")
    page.unroute_all()
    page.locator("input[value=url]").check()
    expect(page.locator("#labels tbody bdi")).to_have_text(["/a"])


def test_a_slow_answer_says_so_and_a_newer_question_is_never_answered_by_an_older(
    guest: Guest, past: Past
) -> None:
    page = ask(guest(), past.had(["/a"]))
    waiting: list[Route] = []
    page.route("**/summaries/ip?*", lambda route: waiting.append(route))
    page.locator("input[value=ip]").check()
    expect(page.locator("#state")).to_have_text("loading…")
    expect(page.locator("#name")).to_have_text("Pages")  # the answer before, under its own name
    page.locator("input[value=browser]").check()
    expect(page.locator("#name")).to_have_text("Browsers")
    assert len(waiting) == 1
    expect(page.locator("#labels tbody bdi")).to_have_text(["Firefox 140"])
    expect(page.locator("#state")).to_contain_text("counted up to")


def test_a_page_of_a_wall_with_a_token_asks_for_it_and_opens_with_it(
    guest: Guest, past: Past, url: str
) -> None:
    past.had(["/a"])
    guarded = Service(url, token="s3cret", keep_hour="0", keep_day="0")
    try:
        guarded.start("serve")
        person = guest()
        page = person.new_page()
        page.goto(f"{guarded.base}/ask?site={past.name}")
        expect(page.locator("body")).to_contain_text("needs its token")
        page.goto(f"{guarded.base}/ask?site={past.name}&at={DAY}&token=s3cret")
        expect(page.locator("#labels tbody bdi")).to_have_text(["/a"])
        assert "s3cret" not in page.url
        person.clear_cookies()
        page.locator("input[value=ip]").check()
        expect(page.locator("#notes")).to_contain_text("open the wall once with ?token=")
        expect(page.locator("#answer")).to_be_hidden()
    finally:
        guarded.stop()


def test_the_wall_leads_to_the_page_and_back_with_its_site_and_bucket(
    guest: Guest, past: Past, service: Service
) -> None:
    past.had(["/a"])
    page = guest().new_page()
    page.goto(f"{service.base}/?site={past.name}&bucket=month")
    page.get_by_role("link", name="All numbers").click()
    expect(page.locator("#site")).to_have_value(past.name)
    expect(page.locator("input[value=month]")).to_be_checked()
    page.get_by_role("link", name="Live wall").click()
    expect(page).to_have_url(f"{service.base}/?site={past.name}&bucket=month")
    page.get_by_role("link", name="Referrers").click()
    expect(page.locator("#name")).to_have_text("Referrers")
    page.go_back()
    page.get_by_role("link", name="Now").click()
    expect(page.locator("#name")).to_have_text("Hits")
    page.goto(f"{service.base}/?site={past.name}&kiosk")
    expect(page.get_by_text("Referrers")).to_be_visible()
    expect(page.get_by_role("link")).to_have_count(0)


def test_the_page_is_light_and_every_request_stays_at_home(guest: Guest, past: Past) -> None:
    past.had(["/a"])
    page = guest().new_page()
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.goto(f"{past.service.base}/ask?site={past.name}&at={DAY}")
    expect(page.locator("#plot canvas")).to_be_visible()
    assert all(url.startswith(past.service.base) for url in seen)
    names = {url.removeprefix(f"{past.service.base}/static/") for url in seen if "/static/" in url}
    files = [ROOT / "static" / name for name in names | {"ask.html"}]
    assert len(files) > 8
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 60_000


def test_a_service_without_any_site_says_where_to_begin(guest: Guest, past: Past) -> None:
    page = guest().new_page()
    page.route("**/api/sites", lambda route: route.fulfill(json={"sites": []}))
    page.goto(f"{past.service.base}/ask")
    expect(page.locator("#notes")).to_contain_text("No site has had a hit yet")
    expect(page.locator("#answer")).to_be_hidden()


def test_without_javascript_the_page_says_where_the_numbers_are(guest: Guest, past: Past) -> None:
    page = guest(java_script_enabled=False).new_page()
    page.goto(f"{past.service.base}/ask")
    expect(page.locator("noscript p").first).to_be_in_viewport()
    with page.expect_response("**/api/sites") as answer:
        page.get_by_role("link").click()
    assert answer.value.status == 200
